"""Which tests stay together when several workers share the work, as under `make test`.

The tests of a group use the same servers, which then start once. Without workers nothing of this happens.

xdist has `--dist loadgroup` for this, which silently does nothing under pytest 9.2 (pytest-xdist's issue 1386).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]  # ships no types
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # as above

HERE = Path(__file__).parent
# Most end-to-end tests share the sandbox of their session, and are too many for one worker. So there are two, each
# with tests of its own. What stands here has the first; whoever adds tests keeps both about equally long.
SANDBOXES = ("one sandbox", "another sandbox")
IN_THE_FIRST = {"e2e/test_console.py", "e2e/test_crashes.py", "e2e/test_journey.py"}
SEARCH = "e2e/test_secrets.py"
# Groups begin in this order, the longest first, so that no worker is left with a long one at the end.
# What is not listed is quick: it comes last, a group for each folder.
LONGEST_FIRST = [
    *SANDBOXES,
    "services",
    "console",
    "cli",
    "services/rotation",
    "services/restoring",
    "ledger",
    "cluster",
    "worker",
    "recorded",
    "sandbox/test_console.py",
    "benchmarks",
    "services/watching",
    "clients",
    "given_servers",
    "sandbox/test_stack.py",
    "sandbox/test_fleet.py",
    "cli/test_sandboxed.py",
    "sandbox/test_prefect.py",
    "sandbox",
    "test_wheel.py",
    "contract",
    "clients/vault",
]


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """Hands out whole groups, in the order in which the tests come."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Groups:
    """Let workers get their tests from here, whatever `--dist` says."""
    config.option.loadscopereorder = False
    return Groups(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have every sandbox searched for secrets, by the worker that has it."""
    if _works(metafunc.config) and metafunc.definition.path == HERE / SEARCH:
        metafunc.fixturenames.append("of")
        metafunc.parametrize("of", SANDBOXES)


@pytest.hookimpl(trylast=True)  # what comes last in its group stays there
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the groups into their order."""
    if _works(config):
        rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: rank.get(group(item.nodeid), len(rank)))


def group(nodeid: str) -> str:
    """The group of a test, e.g. `cli` for `tests/cli/test_help.py::test_help_loads_nothing_slow`."""
    place, _, test = nodeid.removeprefix(f"{HERE.name}/").partition("::")
    if place == SEARCH:
        return next(name for name in SANDBOXES if name in test)
    fitting = [name for name in LONGEST_FIRST if f"{place}/".startswith(f"{name}/")]
    if place.startswith("e2e/") and not fitting:
        return SANDBOXES[0 if place in IN_THE_FIRST else 1]
    return max(fitting, key=len, default=place.partition("/")[0])


def _works(config: pytest.Config) -> bool:
    """Whether this process is one of several workers."""
    return hasattr(config, "workerinput")
