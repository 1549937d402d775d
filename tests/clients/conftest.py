"""A clock that tests own, and a server that can be silent or hang up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest


class HandClock:
    """Implements `Clock`: time passes only by sleeping."""

    def __init__(self) -> None:
        self.present = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The present."""
        return self.present

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept.append(seconds)
        self.present += timedelta(seconds=seconds)


class RawServer:
    """Reads one request for each connection, then answers with the given bytes, or keeps silent until closed."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        """Hang up and end."""
        self._over.set()
        with socket.create_connection(self._socket.getsockname()):
            pass  # wakes accept
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if self._over.is_set():
                    return
                self.requests.append(connection.recv(65536))
                if self.answer is None:
                    self._over.wait()
                else:
                    connection.sendall(self.answer)


@pytest.fixture
def clock() -> HandClock:
    """A clock that only moves by sleeping."""
    return HandClock()


@pytest.fixture
def raw_server() -> Iterator[Callable[[bytes | None], RawServer]]:
    """Start servers that answer with given bytes; `None` is silence, empty bytes hang up."""
    servers: list[RawServer] = []

    def start(answer: bytes | None) -> RawServer:
        servers.append(RawServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
