"""What the tests of the sandbox's servers share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Poll a condition until it holds, for 20 seconds at most."""

    def holds(condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)  # between two looks
        return True

    return holds


@pytest.fixture(scope="session")
def commands() -> Callable[[], dict[int, str]]:
    """Command lines of everything that runs on this machine, by pid; zombies do not run."""

    def of_all() -> dict[int, str]:
        every = psutil.process_iter(["pid", "status", "cmdline"])
        running = (p.info for p in every if p.info["status"] != psutil.STATUS_ZOMBIE)
        return {info["pid"]: " ".join(info["cmdline"] or []) for info in running}

    return of_all


@pytest.fixture(scope="session")
def open_to_others() -> Callable[[Path], list[Path]]:
    """Files in a folder that somebody else could read, below folders that let them in."""

    def found(folder: Path) -> list[Path]:
        return [path for path in _reachable(folder) if path.is_file() and path.stat().st_mode & 0o077]

    return found


def _reachable(folder: Path) -> Iterable[Path]:
    for path in folder.iterdir():
        yield path
        if path.is_dir() and path.stat().st_mode & 0o077:
            yield from _reachable(path)
