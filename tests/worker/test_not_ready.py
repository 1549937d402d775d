"""What becomes of a run that a worker has taken while its fork server still imports."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SLOW_TO_IMPORT = """
import time
from pathlib import Path

deadline = time.monotonic() + 120
while not Path(__file__).with_suffix(".now").exists() and time.monotonic() < deadline:
    time.sleep(0.05)  # between two looks: the test has no other way to tell this process
"""


@pytest.fixture
def importing(up: Any) -> Iterator[Callable[..., tuple[Any, Path]]]:
    """Start a worker whose fork server imports until a file is there; gives both."""
    started = []

    def start(name: str, **settings: str) -> tuple[Any, Path]:
        module: Path = up.folder / "flows" / f"{name}_to_import.py"
        module.write_text(SLOW_TO_IMPORT)
        started.append(up.worker(name, KEYTURN_WORKER__PRELOAD=f"{module.stem} trial_runs", **settings))
        return started[-1], module.with_suffix(".now")

    yield start
    for worker in started:
        up.children.stop(worker)


def test_a_run_that_is_cancelled_before_it_has_a_process_never_runs(up: Any, importing: Any) -> None:
    """Prefect calls it Cancelled at once, and would take Running from a process that comes only then."""
    _, go_on = importing("slow")
    never = up.file("never")
    run = up.start("look", file=str(never))
    up.until(lambda: up.run(run)["state_name"] == "Pending", "the worker has taken it")
    up.api.post(f"/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}}).raise_for_status()
    up.until(lambda: up.run(run)["state_name"] == "Cancelled", "it is cancelled", within_s=20)
    go_on.touch()
    after = up.start("look", file=str(up.file("after the never")))
    up.ends(after, "Completed")
    assert not never.exists()
    assert "Running" not in up.states(run)
    assert up.run(run)["state_name"] == "Cancelled"


def test_a_worker_that_is_told_to_stop_before_it_can_fork_hands_its_run_back(up: Any, importing: Any) -> None:
    """Another worker may have it at once: nobody waits for a process that never came."""
    worker, _ = importing("slow_and_leaving", KEYTURN_WORKER__GRACE_S="1")
    run = up.start("look", file=str(up.file("not here")))
    up.until(lambda: up.run(run)["state_name"] == "Pending", "the worker has taken it")
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(timeout=60)
    assert up.run(run)["state_name"] == "AwaitingRetry"
    other = up.worker("quick")
    up.ends(run, "Completed")
    up.children.stop(other)
