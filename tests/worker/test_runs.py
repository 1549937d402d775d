"""Runs in forked processes: isolated, with what a run is told, and with honest ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

pytestmark = pytest.mark.usefixtures("worker")


def test_each_run_is_a_forked_process_of_its_own(up: Any) -> None:
    """A session of its own, the run's variables and a folder that is gone afterwards; and nothing of the run before."""
    first, second = (up.file(f"look-{n}") for n in range(2))
    runs = [up.start("look", file=str(file)) for file in (first, second)]
    for run in runs:
        up.ends(run, "Completed")
    looks = [up.looks(file) for file in (first, second)]
    assert [look["run"] for look in looks] == runs
    for look, run in zip(looks, runs, strict=True):
        assert look["forked"]
        assert look["session"] == look["pid"]
        assert up.run(run)["infrastructure_pid"] == f"{os.uname().nodename}:{look['pid']}"
        assert (look["given"], look["count"], look["control"]) == ("yes", 1, None)
        up.until(lambda folder=look["folder"]: not Path(folder).exists(), "its folder is gone")
    assert looks[0]["random"] != looks[1]["random"]
    assert up.logged().count("looked around") >= 2


def test_a_run_starts_because_an_event_told_of_it(up: Any) -> None:
    """This worker polls every ten minutes, and yet a run begins within seconds."""
    file = up.file("told")
    run = up.start("look", file=str(file))
    up.until(file.exists, "the run has begun", within_s=20)
    up.ends(run, "Completed")


def test_a_flow_that_raises_is_failed_and_not_crashed(up: Any) -> None:
    """Its process has said what became of it, so the worker adds nothing."""
    run = up.start("end", how="raise")
    up.ends(run, "Failed")
    assert "as it was asked for" in up.run(run)["state"]["message"]
    place = up.until(lambda: up.run(run)["infrastructure_pid"], "its process is known")
    up.until(lambda: not psutil.pid_exists(int(place.rpartition(":")[2])), "its process is gone")
    assert up.states(run)[-1] == "Failed"


def test_a_process_that_just_ends_has_its_run_crashed_with_the_code(up: Any) -> None:
    """Whoever leaves with a code has not said how it went."""
    run = up.start("end", how="leave")
    up.ends(run, "Crashed")
    assert "status code 3" in up.run(run)["state"]["message"]


def test_kill_9_of_a_run_is_noticed(up: Any) -> None:
    """As with Prefect's own worker: Crashed, and with the signal in the message."""
    run = up.start("last", file=str(up.file("killed")))
    up.process(run).send_signal(signal.SIGKILL)
    up.ends(run, "Crashed")
    assert "status code -9" in up.run(run)["state"]["message"]


def test_a_running_run_is_cancelled_and_was_never_crashed(up: Any) -> None:
    """Its process is told why it gets SIGTERM, ends, and says so."""
    run = up.start("last", file=str(up.file("cancelled")))
    process = up.process(run)
    up.until(lambda: up.marks(up.file("cancelled")), "the flow is at work")
    up.api.post(f"/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}}).raise_for_status()
    up.ends(run, "Cancelled")
    process.wait(timeout=10)
    assert "Crashed" not in up.states(run)


def test_a_resumed_run_and_its_old_process_do_not_hurt_each_other(up: Any) -> None:
    """The old process still lives when the new one begins, and then ends with a code that means a crash."""
    file = up.file("slow")
    run = up.start("slow_to_go", file=str(file))
    up.ends(run, "Suspended")
    old = psutil.Process(int(file.read_text()))
    folder = Path(old.cwd())
    assert up.api.post(f"/flow_runs/{run}/resume").json()["status"] == "ACCEPT"
    after = up.file("slow.after")
    up.until(lambda: after.exists() and after.read_text(), "the new process is past the gate")
    assert old.is_running()
    assert int(after.read_text()) != old.pid
    up.enough(file)
    up.until(lambda: not old.is_running(), "the old process is gone")
    up.until(lambda: not folder.exists(), "the worker has noticed")
    assert up.run(run)["state_name"] == "Running"
    up.enough(up.file("slow.marks"))
    up.ends(run, "Completed")
    assert "Crashed" not in up.states(run)
