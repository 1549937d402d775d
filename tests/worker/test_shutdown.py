"""What becomes of runs when the worker, or its fork server, is told to stop or is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types


def test_a_worker_that_is_told_to_stop_lets_short_work_finish_and_hands_the_rest_back(up: Any, worker: Any) -> None:
    """Another worker has the long run at once, after its process was dead; no run says Running."""
    up.children.stop(worker)
    short, long = up.file("short"), up.file("long")
    with _alone(up, "leaving", KEYTURN_WORKER__GRACE_S="10") as leaving:
        quick, slow = (up.start("last", file=str(file)) for file in (short, long))
        processes = [up.process(run) for run in (quick, slow)]
        up.until(lambda: up.marks(short) and up.marks(long), "both are at work")
        with _alone(up, "taking over"):
            leaving.process.send_signal(signal.SIGTERM)
            up.enough(short)
            leaving.process.wait(timeout=60)
            assert up.run(quick)["state_name"] == "Completed"
            assert not any(process.is_running() for process in processes)
            up.until(lambda: len(_pids(up, long)) > 1, "another worker has it", within_s=20)
            up.enough(long)
            up.ends(slow, "Completed")
    assert "AwaitingRetry" in up.states(slow)
    assert "Crashed" not in up.states(slow) + up.states(quick)
    old, new = ([at for by, at in up.marks(long) if by == pid] for pid in _pids(up, long))
    assert old[-1] < new[0]


def test_who_cancels_a_run_of_a_worker_that_is_leaving_is_heard(up: Any) -> None:
    """The run ends as Cancelled, and says Cancelling no longer than it takes."""
    with _alone(up, "leaving at last", KEYTURN_WORKER__GRACE_S="8") as leaving:
        run = up.start("last", file=str(up.file("cancelled while leaving")))
        process = up.process(run)
        up.until(lambda: up.marks(up.file("cancelled while leaving")), "it is at work")
        leaving.process.send_signal(signal.SIGTERM)
        up.api.post(f"/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}}).raise_for_status()
        up.ends(run, "Cancelled")
        leaving.process.wait(timeout=60)
        assert not process.is_running()


def test_kill_9_of_the_worker_leaves_its_run_alive(up: Any) -> None:
    """As with Prefect's own worker: the run goes on as an orphan, and says itself how it ended."""
    with _alone(up, "killed") as worker:
        run = up.start("last", file=str(up.file("orphaned")))
        process = up.process(run)
        server = _fork_server(worker.process.pid)
        worker.process.kill()
        worker.process.wait()
        up.until(lambda: _gone(server), "its fork server has gone")
        assert process.is_running()
        up.enough(up.file("orphaned"))
        up.ends(run, "Completed")


def test_kill_9_of_the_fork_server_is_mended_and_its_runs_are_accounted_for(up: Any) -> None:
    """A run that goes on is left alone; one that then dies is Crashed; and the next is forked by a new server."""
    with _alone(up, "mended") as worker:
        lives, dies = (up.start("last", file=str(up.file(name))) for name in ("lives", "dies"))
        doomed = up.process(dies)
        up.process(lives)
        server = _fork_server(worker.process.pid)
        server.kill()
        up.until(lambda: _gone(server), "the fork server is dead")
        doomed.kill()
        up.ends(dies, "Crashed")
        after = up.start("look", file=str(up.file("after")))
        up.ends(after, "Completed")
        up.enough(up.file("lives"))
        up.ends(lives, "Completed")
        assert _fork_server(worker.process.pid).pid != server.pid


def test_new_runs_have_the_new_code_and_running_ones_keep_the_old(up: Any) -> None:
    """A changed file is noticed without restarting anything."""
    with _alone(up, "reloading") as worker:
        before = up.start("last", file=str(up.file("old code")))
        up.process(before)
        server = _fork_server(worker.process.pid)
        source = up.folder / "flows" / "trial_runs.py"
        source.write_text(source.read_text().replace('"looked around"', '"looked around anew"'))
        after = up.start("look", file=str(up.file("new code")))
        up.ends(after, "Completed")
        assert "looked around anew" in up.logged()
        assert not _gone(server)
        up.enough(up.file("old code"))
        up.ends(before, "Completed")
        up.start("look", file=str(up.file("newer code")))  # the next run, after which nothing keeps the old server
        up.until(lambda: _gone(server), "the old server has gone")


@contextmanager
def _alone(up: Any, name: str, **settings: str) -> Iterator[Any]:
    worker = up.worker(name, **settings)
    yield worker
    up.children.stop(worker)


def _gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _pids(up: Any, file: Path) -> list[int]:
    return list(dict.fromkeys(pid for pid, _ in up.marks(file)))


def _fork_server(worker: int) -> psutil.Process:
    """The newest: forked from the worker in its first moments, or started later as a program."""
    servers = psutil.Process(worker).children()
    assert servers
    return max(servers, key=lambda process: process.create_time())
