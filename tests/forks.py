"""A program that has imported all of keyturn, and forks whoever asks for a command: `python forks.py SOCKET`.

It ends when its standard input does, so that it cannot outlive whoever started it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import warnings
from typing import Any

LONGEST = 1 << 20
"""Of a request, in bytes."""
_UNCLOSED = "error::ResourceWarning"  # the only warnings that tests ask commands for


def main(path: str) -> None:
    """Import everything, then serve."""
    _import_all()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for whoever attends to a connection
        print("ready", flush=True)  # noqa: T201  what its parent waits for
        while select.select([listener, sys.stdin], [], [])[0] == [listener]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    _attend(connection)


def _import_all() -> None:
    import keyturn  # noqa: PLC0415  this program was started for it

    for module in pkgutil.walk_packages(keyturn.__path__, "keyturn."):
        if not module.name.endswith("__main__") and not module.name.startswith("keyturn.sandbox.twins"):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def _attend(connection: socket.socket) -> None:
    """Fork the command, say which process it is, and then how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, descriptors, _, _ = socket.recv_fds(connection, LONGEST, 3)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(json.loads(message), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    connection.send(str(pid).encode())
    connection.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    os._exit(0)


def _become(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Be the command, as if the interpreter had been started for it."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = ["keyturn", *asked["words"]]
    if asked["environment"].get("PYTHONWARNINGS") == _UNCLOSED:
        warnings.simplefilter("error", ResourceWarning)
    _read_settings_anew()
    runpy.run_module("keyturn", run_name="__main__", alter_sys=True)
    sys.exit()


def _read_settings_anew() -> None:
    """Prefect read the environment when it was imported, which was before this command had one."""
    from prefect.context import root_settings_context  # noqa: PLC0415  imported already

    root_settings_context().__enter__()


if __name__ == "__main__":
    main(sys.argv[1])
