"""`python -m keyturn.worker --pool keyturn`: as `prefect worker start --type warm`, with the same options, but sooner.

Worker and fork server both need most of Prefect, which takes long to import. Here it is imported once: the fork server
is forked from this process while that has neither threads nor connections, and then this process becomes the worker.
"""

from __future__ import annotations

import gc
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Sequence

from keyturn.errors import KeyturnError
from keyturn.worker import fork_server
from keyturn.worker.child import Leaving
from keyturn.worker.opening import ForkedProcess, Opened, keep_early
from keyturn.worker.own_settings import own_settings
from keyturn.worker.preloading import preload


def main() -> None:
    """Become Prefect's own command. It says what is wrong with its options, and exits as it would by itself."""
    leaving, began = Leaving(), time.time()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Prefect stops by it; a shell's background jobs ignore it
    try:
        modules = own_settings().preload.split()
    except KeyturnError as error:
        print(error, file=sys.stderr)  # noqa: T201  as a command does
        sys.exit(error.exit_code)
    gc.disable()  # until the worker is set up, as in the fork server
    preload(())
    _fork(modules, leaving, began)
    sys.argv = ["prefect", "--no-prompt", "worker", "start", "--type", "warm", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


def _fork(modules: Sequence[str], leaving: Leaving, began: float) -> None:
    ours, theirs = socket.socketpair()
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        ours.close()
        fork_server.become(theirs, modules, leaving, began)
        sys.exit()
    theirs.close()
    ours.setblocking(False)
    keep_early(modules, Opened(ForkedProcess(pid), ours))


if __name__ == "__main__":
    main()
