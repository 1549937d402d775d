"""Commands without the seconds of importing: each is a process of its own, forked from one that has imported keyturn.

What is tested is the same program in the same environment; `tests/test_wheel.py` starts it from nothing.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tests.forks import LONGEST

Done = subprocess.CompletedProcess[str]


def run(
    words: tuple[str, ...], environment: Mapping[str, str], folder: Path, given: str = "", timeout_s: float = 120
) -> Done:
    """Run `keyturn` to its end, whatever that is.

    Raises:
        subprocess.TimeoutExpired: it took longer than that, and was killed.
    """
    with tempfile.TemporaryFile() as entered, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        entered.write(given.encode())
        entered.seek(0)
        asked = {"words": words, "environment": dict(environment), "folder": str(folder)}
        code = _ended(json.dumps(asked).encode(), [entered, out, err], timeout_s)
        return Done(["keyturn", *words], code, _read(out), _read(err))


def _ended(asked: bytes, files: list[IO[bytes]], timeout_s: float) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(_server())
        socket.send_fds(connection, [asked], [file.fileno() for file in files])
        pid = int(connection.recv(LONGEST))
        connection.settimeout(timeout_s)
        try:
            return int(connection.recv(LONGEST))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(json.loads(asked)["words"], timeout_s) from None


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@functools.cache
def _server() -> str:
    """Address of this session's server, which is started when it is first asked for."""
    folder = Path(tempfile.mkdtemp(prefix="kt-forks-", dir="/tmp"))  # a short path, for the socket
    path = str(folder / "socket")
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    program = [sys.executable, "-m", "tests.forks", path]
    server = subprocess.Popen(program, cwd=Path(__file__).parents[1], env=environment, **piped)

    def stop() -> None:
        server.communicate()
        shutil.rmtree(folder)

    atexit.register(stop)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return path
