"""Child processes, on real ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyturn.errors import UnavailableError
from keyturn.sandbox.processes import Child, Children, Command, end_leftovers, environment

Eventually = Callable[[Callable[[], bool]], bool]
Commands = Callable[[], dict[int, str]]

# Starts one sleeping child with a sleeping child of its own, says who they are, and waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
from keyturn.sandbox.processes import Children, Command, environment
state = Path(sys.argv[1])
shell = ["sh", "-c", "sleep 1000 & echo $!; wait"]
with Children(state) as children:
    child = children.start(Command("sleeper", shell, environment(state / "home"), state))
    child.wait_until(lambda: child.log.read_text().strip().isdigit())
    print(child.process.pid, child.log.read_text().strip(), children._watchdog.pid, flush=True)
    time.sleep(1000)  # until the test kills it
"""


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """A sandbox's processes, none yet."""
    with Children(tmp_path) as family:
        yield family


def sh(children: Children, script: str, patience_s: float = 5.0, name: str = "child", **variables: str) -> Command:
    """A shell command."""
    variables = environment(children.state / "home", **variables)
    return Command(name, ["sh", "-c", script], variables, children.state, patience_s=patience_s)


def said(child: Child, text: str) -> Callable[[], bool]:
    """Whether the text is in the child's log."""
    return lambda: text in child.log.read_text()


def parent(tmp_path: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Another process with children, and the pids of child, grandchild and watchdog."""
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


def test_output_goes_to_a_private_file(children: Children) -> None:
    """Standard output and error are in a log that only the owner can read."""
    child = children.start(sh(children, "echo out; echo err >&2"))
    child.wait_for_end()
    assert child.log.read_text() == "out\nerr\n"
    assert child.log.stat().st_mode & 0o777 == 0o600


def test_files_that_a_child_makes_are_private(children: Children) -> None:
    """Children run with a umask that leaves nothing to others."""
    children.run(sh(children, "echo secret > made"))
    assert (children.state / "made").stat().st_mode & 0o777 == 0o600


def test_nothing_leaks_in_from_the_parents_environment(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child sees what it is given, its own home and the search path; no KEYTURN_, PREFECT_ or proxy variable."""
    for name in ("KEYTURN_VAULT__TOKEN", "PREFECT_API_KEY", "HTTPS_PROXY", "VAULT_TOKEN"):
        monkeypatch.setenv(name, "leaked")
    child = children.start(sh(children, "env", GIVEN="this"))
    child.wait_for_end()
    seen = child.log.read_text()
    assert "leaked" not in seen
    assert "GIVEN=this" in seen
    assert f"HOME={children.state / 'home'}" in seen


def test_a_child_that_ends_too_early_is_reported_with_its_log(children: Children) -> None:
    """Waiting for readiness stops as soon as the process is gone, and says where to look."""
    child = children.start(sh(children, "exit 3"))
    with pytest.raises(UnavailableError, match="ended with code 3 before it was ready") as caught:
        child.wait_until(lambda: False)
    assert str(child.log) in caught.value.remedy


def test_a_child_that_never_gets_ready_is_reported(children: Children) -> None:
    """Waiting for readiness has an end."""
    child = children.start(sh(children, "exec sleep 1000"))
    with pytest.raises(UnavailableError, match="is not ready after"):
        child.wait_until(lambda: False, within_s=0.1)


def test_a_command_that_fails_is_reported(children: Children) -> None:
    """A command that is run to its end and fails is an error."""
    with pytest.raises(UnavailableError, match="ended with code 7"):
        children.run(sh(children, "exit 7"))


def test_a_command_that_hangs_is_stopped(children: Children, commands: Commands) -> None:
    """A command that takes too long is an error, and does not go on."""
    with pytest.raises(UnavailableError, match="has not ended after"):
        children.run(sh(children, "exec sleep 1001"), within_s=0.1)
    assert "sleep 1001" not in commands().values()


def test_stopping_asks_first(children: Children) -> None:
    """A process gets its signal and the time to clean up."""
    child = children.start(sh(children, "trap 'echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.02; done"))
    child.wait_until(said(child, "up"))
    children.stop(child)
    assert "cleaned" in child.log.read_text()
    assert child.process.returncode == 0


def test_stopping_kills_what_does_not_listen(children: Children) -> None:
    """A process that ignores its signal is killed after the deadline."""
    child = children.start(sh(children, "trap '' TERM; echo up; while :; do sleep 0.02; done", patience_s=0.2))
    child.wait_until(said(child, "up"))
    children.stop(child)
    assert child.process.returncode == -signal.SIGKILL


def test_stopping_reaches_grandchildren(children: Children, commands: Commands, eventually: Eventually) -> None:
    """What a child has started is ended with it."""
    child = children.start(sh(children, "sleep 1002 & echo $!; wait"))
    child.wait_until(said(child, "\n"))
    children.stop(child)
    assert eventually(lambda: int(child.log.read_text()) not in commands())


def test_the_newest_is_stopped_first(tmp_path: Path) -> None:
    """Servers end after those that need them."""
    with Children(tmp_path) as children:
        for name in ("server", "client"):
            script = f"trap 'echo {name} >> {tmp_path}/ended; exit' TERM; echo up; while :; do sleep 0.02; done"
            child = children.start(sh(children, script, name=name))
            child.wait_until(said(child, "up"))
    assert (tmp_path / "ended").read_text().split() == ["client", "server"]


def test_nothing_is_started_while_stopping(children: Children) -> None:
    """A thread that is late does not start a server that nobody will stop."""
    children.stop_all()
    with pytest.raises(UnavailableError, match="is stopping"):
        children.start(sh(children, "true"))


def test_what_ended_by_itself_is_known(children: Children) -> None:
    """A server that crashed can be told from one that was stopped."""
    crashed, stopped = (children.start(sh(children, "exec sleep 1003", name=name)) for name in ("crashed", "stopped"))
    crashed.process.kill()
    crashed.process.wait()
    children.stop(stopped)
    assert [child.name for child in children.ended()] == ["crashed"]


def test_children_die_with_their_parent(tmp_path: Path, commands: Commands, eventually: Eventually) -> None:
    """After `kill -9` of the parent, children and grandchildren end, and so does the watchdog."""
    process, pids = parent(tmp_path)
    assert set(pids) <= set(commands())
    process.kill()
    process.communicate()
    assert eventually(lambda: not set(pids) & set(commands()))


def test_the_next_one_ends_what_is_left(tmp_path: Path, commands: Commands, eventually: Eventually) -> None:
    """After `kill -9` of parent and watchdog, whoever opens the folder next ends the children."""
    process, (child, grandchild, watchdog) = parent(tmp_path)
    os.kill(watchdog, signal.SIGKILL)
    process.kill()
    process.communicate()
    assert {child, grandchild} <= set(commands())
    with Children(tmp_path):
        assert eventually(lambda: not {child, grandchild} & set(commands()))


def test_a_pid_that_another_process_got_is_left_alone(tmp_path: Path) -> None:
    """A noted pid counts only together with the time its process was started."""
    other = subprocess.Popen(["sleep", "1004"], start_new_session=True)
    record = tmp_path / "processes.json"
    record.write_text(json.dumps([{"pid": other.pid, "created": 1.0, "name": "old", "signal": 15}]))
    end_leftovers(record)
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_command_does_not_show_its_environment(children: Children) -> None:
    """The text of a command and of a child holds no variable's value."""
    child = children.start(sh(children, "true", TOKEN="s3cret"))
    assert "s3cret" not in repr(child) + str(child) + repr(child.command)
