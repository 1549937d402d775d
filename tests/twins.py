"""Both twins as real servers in threads of the tests' own process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from keyturn.sandbox.twins.gong.app import GongConfig
from keyturn.sandbox.twins.gong.app import create_app as gong_app
from keyturn.sandbox.twins.serving import server
from keyturn.sandbox.twins.stackone.app import StackOneConfig
from keyturn.sandbox.twins.stackone.app import create_app as stackone_app

API_KEY = "v1.local.key-of-the-project"


@dataclass(frozen=True)
class Served:
    """Where both twins listen."""

    gong: str
    stackone: str

    def reset(self) -> None:
        """As at the first start: state, switches, faults and clocks."""
        for origin in (self.gong, self.stackone):
            httpx.post(f"{origin}/_twin/reset", trust_env=False).raise_for_status()


@contextmanager
def served(
    folder: Path,
    gong: Mapping[str, object] | None = None,
    stackone: Mapping[str, object] | None = None,
    client_secret: str | None = None,
    **more: Any,
) -> Iterator[Served]:
    """Both twins on the state files of a folder, with these switches; `more` as in StackOneConfig."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    twins = Served(*(f"http://127.0.0.1:{s.getsockname()[1]}" for s in sockets))
    gong_config = GongConfig(
        state=folder / "gong.json",
        deliver={"https://api.stackone.com": twins.stackone},
        options=gong or {},
        client_secret=client_secret,
    )
    stackone_config = StackOneConfig(
        state=folder / "stackone.json", api_key=API_KEY, gong=twins.gong, options=stackone or {}, **more
    )
    with ExitStack() as stack:
        stack.enter_context(_in_thread(gong_app(gong_config), sockets[0]))
        stack.enter_context(_in_thread(stackone_app(stackone_config), sockets[1]))
        yield twins


@contextmanager
def _in_thread(app: Starlette, listener: socket.socket) -> Iterator[None]:
    # asyncio does this for sockets it opens itself; without it every answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    running = server(app, 0)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not running.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield
    finally:
        running.should_exit = True
        thread.join(10)
        listener.close()
