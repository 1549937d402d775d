"""The fork server: a process without threads and connections that has everything imported, and forks on demand.

The worker starts it as `python -P -m keyturn.worker.fork_server <socket> <modules…>` and talks to it over the socket
(`keyturn.worker.wire`). It ends when the worker closes the socket or is gone. Its children live on then, as those of
Prefect's own process worker do: whatever they still write is fenced by the ledger.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from keyturn.worker.child import Leaving, become
from keyturn.worker.preloading import preload, sources
from keyturn.worker.wire import Lines, Order, line

_CHUNK = 1 << 16


class ForkServer:
    """Forks what the worker orders, passes signals on, and reports each end.

    Only this process can wait for its children, so a pid stands for the process it was given for until the end was
    noticed here: a signal sent from here never meets a stranger.
    """

    def __init__(self, link: socket.socket, leaving: Leaving) -> None:
        self._link = link
        self._leaving = leaving
        self._lines = Lines()
        self._children: dict[int, str] = {}
        self._waker, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Until the worker is gone."""
        self._listen_to_children()
        with selectors.DefaultSelector() as selector:
            for source in (self._link, self._woken):
                selector.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(_CHUNK)  # type: ignore[union-attr]  # both are sockets
                    if key.fileobj is self._woken:
                        self._reap()
                    elif not data:
                        return
                    else:
                        self._obey(data)

    def _listen_to_children(self) -> None:
        for end in (self._waker, self._woken):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # with a handler, so that the descriptor is written to
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)

    def _obey(self, data: bytes) -> None:
        for message in self._lines.feed(data):
            if "order" in message:
                self._fork(Order(**message["order"]))
            else:
                self._signal(**message["signal"])

    def _fork(self, order: Order) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or too many processes
            self._tell({"refused": order.id, "why": str(error)})
            return
        if pid == 0:
            for inherited in (self._link, self._waker, self._woken):
                inherited.close()
            become(order, self._leaving)
        self._children[pid] = order.id
        self._tell({"forked": order.id, "pid": pid})

    def _signal(self, id: str, number: int) -> None:  # noqa: A002  the message's own word
        for pid in [pid for pid, name in self._children.items() if name == id]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                if number == signal.SIGKILL:
                    os.killpg(pid, number)  # and whatever it has started

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._tell({"ended": self._children.pop(pid), "status": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the worker is gone, which the next read will say
            self._link.sendall(line(message))


def main(descriptor: str, *modules: str) -> None:
    """Import everything, say so, and serve."""
    began = time.time()
    leaving = Leaving()  # before anything else can ask to be told of the end
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group on a redeploy: the worker decides
    link = socket.socket(fileno=int(descriptor))
    link.set_inheritable(False)
    gc.disable()  # importing makes much that stays: looking through it again and again takes a sixth of the time
    missing = preload(modules)
    gc.collect()
    gc.freeze()
    gc.enable()
    ready = {"files": sources(began), "missing": missing, "threads": threading.active_count()}
    link.sendall(line({"ready": ready}))
    ForkServer(link, leaving).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
