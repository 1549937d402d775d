"""The console behind a real server, in a thread of the tests' own process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from keyturn.console.serving import Server

SOON_S = 10.0


@dataclass(frozen=True)
class Running:
    """A console that listens.

    Attributes:
        origin: its address on this machine.
    """

    origin: str
    server: Server
    thread: threading.Thread

    def stop(self) -> float:
        """Have it stop; gives how many seconds that took, at most 10."""
        began = time.monotonic()
        self.server.should_exit = True
        self.thread.join(SOON_S)
        return time.monotonic() - began


@contextmanager
def running(app: FastAPI, listener: socket.socket | None = None) -> Iterator[Running]:
    """Serve it on a free port of the loopback, or where somebody else listens already."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = Server(app, uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until(lambda: server.started)
    served = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", server, thread)
    try:
        yield served
    finally:
        served.stop()
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def until(holds: Callable[[], object], within_s: float = SOON_S) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)  # between two looks: what is waited for may be anything, and has nothing to tell us by
