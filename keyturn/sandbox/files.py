"""The sandbox's folder: files that only their owner may read, and its lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyturn.errors import RefusedError


def write_private(file: Path, text: str) -> None:
    """Write a file with mode 0600, whole or not at all, so that a crash leaves the former one."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    new.replace(file)


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the folder for this process. The kernel lets go of it when the process ends, in whatever way.

    Raises:
        RefusedError: another process holds it.
    """
    with os.fdopen(os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(str(state), f"a sandbox is already running there, as process {lock.read() or '?'}",
                               "Stop it with Ctrl-C, or choose another folder with --state.") from None  # fmt: skip
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield
