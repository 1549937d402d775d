"""The fork server: a process without threads and connections that has everything imported, and forks on demand.

It forks as soon as it has what every run needs, and imports the rest while nobody asks it for anything.

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
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from keyturn.worker import child
from keyturn.worker.child import Leaving
from keyturn.worker.opening import GIVEN
from keyturn.worker.preloading import complete_models, imported, parts_of, preload, sources
from keyturn.worker.wire import Lines, Order, line

_CHUNK = 1 << 16
_QUIET_S = 1.0
_POLITE_S = 15.0


class ForkServer:
    """Forks what the worker orders, passes signals on, and reports each end.

    Only this process can wait for its children, so a pid stands for the process it was given for until the end was
    noticed here: a signal sent from here never meets a stranger.
    """

    def __init__(self, link: socket.socket, leaving: Leaving, rest: Iterator[float]) -> None:
        self._link = link
        self._leaving = leaving
        self._rest = rest
        self._lines = Lines()
        self._children: dict[int, str] = {}
        self._waker, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Until the worker is gone."""
        self._listen_to_children()
        with selectors.DefaultSelector() as selector:
            for source in (self._link, self._woken):
                selector.register(source, selectors.EVENT_READ)
            quiet_s: float | None = 0
            latest = time.monotonic() + _POLITE_S
            while True:
                heard = selector.select(quiet_s)
                if not heard:
                    quiet_s = next(self._rest, None)
                elif quiet_s is not None:  # whoever was forked now has the processor first, but not for ever
                    quiet_s = _QUIET_S if time.monotonic() < latest else 0
                for key, _ in heard:
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
            gc.enable()
            child.become(order, self._leaving)
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
    """Import what every run needs, say so, and serve."""
    leaving, began = Leaving(), time.time()  # before anything else can ask to be told of the end
    _ignore_signals()
    gc.disable()  # importing makes much that stays: looking through it again and again takes a sixth of the time
    serve(socket.socket(fileno=int(descriptor)), modules, leaving, began)


def become(link: socket.socket, modules: Sequence[str], leaving: Leaving, began: float) -> None:
    """Be the fork server, in a process that was forked from one that has imported Prefect; until the worker is gone.

    Args:
        link: to the worker.
        modules: what to import.
        leaving: made before anything was imported.
        began: when importing began, in seconds since the epoch.
    """
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415  the program imports it later

    _ignore_signals()
    if not sys.flags.safe_path and os.getcwd() in sys.path:  # noqa: PTH109  as `-m` has put it there
        sys.path.remove(os.getcwd())  # noqa: PTH109  a later server, and a run, would not find what is only there
    os.chdir("/")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  a descriptor is what is needed
        os.dup2(nothing.fileno(), sys.stdin.fileno() if sys.stdin else 0)
    os.environ.update(GIVEN)
    refresh_global_settings_context()
    serve(link, modules, leaving, began)


def serve(link: socket.socket, modules: Sequence[str], leaving: Leaving, began: float) -> None:
    """Import, say so, and fork until the worker is gone."""
    link.set_inheritable(False)
    missing = preload(modules)
    _complete_variables()
    gc.freeze()
    _tell_of_itself(link, "ready", missing, began)
    ForkServer(link, leaving, _rest(link, modules, began)).serve()


def _ignore_signals() -> None:
    """Those are sent to the whole group on a redeploy: the worker decides."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _complete_variables() -> None:
    """Prefect's settings, as each run will be given them: who sees the same need not read them again."""
    from prefect.settings import get_current_settings  # noqa: PLC0415  after signals and exits are seen to

    os.environ.update(get_current_settings().to_environment_variables(exclude_unset=True))


def _rest(link: socket.socket, modules: Sequence[str], began: float) -> Iterator[float]:
    """Import what is below the packages, one by one, do what else spares the runs work, and say so.

    Gives before each step how many seconds it has to have been quiet, since nothing is forked meanwhile.
    """
    missing = []
    for name in parts_of(modules):
        if not imported(name):
            missing.append(name)
        yield 0
    yield _QUIET_S
    complete_models()
    yield _QUIET_S
    gc.collect()
    gc.freeze()
    gc.enable()
    _tell_of_itself(link, "complete", missing, began)


def _tell_of_itself(link: socket.socket, moment: str, missing: Sequence[str], began: float) -> None:
    told = {"files": sources(began), "missing": missing, "threads": threading.active_count()}
    with suppress(BrokenPipeError, ConnectionResetError):  # the worker is gone, which the next read will say
        link.sendall(line({moment: told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
