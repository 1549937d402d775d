"""What a forked process does before it is the flow run: become what a new process would have been."""

from __future__ import annotations

import atexit
import logging
import os
import random
import runpy
import shlex
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from keyturn.worker.wire import Order

_PROGRAM = "prefect.engine"
_READ_BY_PREFECT = ("prefect.toml", "pyproject.toml", ".env")
_FAILED = 1


class Leaving:
    """Ends a forked process for good once everything else that belongs to a process's end is done.

    Made before Prefect is imported, it is asked after all who come with that: threads were joined, and whoever wanted
    to be told of the end was told. What is older is seen to here. Then the process goes without taking the modules
    apart, which would copy the server's memory.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self._leave)

    def _leave(self) -> None:
        if self.code is None:
            return  # this is the server itself
        logging.shutdown()  # asked for by the standard library, before there was a `Leaving`
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue  # nobody reads it any more
        os._exit(self.code)


def become(order: Order, leaving: Leaving) -> None:
    """Be the flow run, in a session of its own, to its end.

    Raises:
        SystemExit: always, so that the process ends as any other.
    """
    leaving.code = _FAILED
    os.setsid()
    _plain_signals()
    told_otherwise = _is_told_otherwise(order)
    _surroundings(order)
    if order.command:
        argv = shlex.split(order.command)
        os.execvpe(argv[0], argv, dict(order.environment))  # noqa: S606  the pool's own command, no shell
    leaving.code = _code_of_run(anew=told_otherwise)
    sys.exit(leaving.code)


def _plain_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _surroundings(order: Order) -> None:
    """Folder, variables, output, randomness."""
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    if not order.stream:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for output in (1, 2):
            os.dup2(nowhere, output)
    sys.path.insert(0, order.folder)  # where `python -m` looks first
    random.seed()


def _is_told_otherwise(order: Order) -> bool:
    """Whether Prefect's settings are to be read anew, which takes longer than all the rest: rarely.

    The server has read them from the variables that every run gets (and the profile that these name). A run may have
    variables of its own, and its folder may have files that Prefect reads.
    """
    own, here = (_settings(variables) for variables in (order.environment, os.environ))
    return own != here or any((Path(order.folder) / name).exists() for name in _READ_BY_PREFECT)


def _settings(variables: Mapping[str, str]) -> dict[str, str]:
    """Prefect's settings; with two underscores it is no setting, but something about one run."""
    return {
        name: value
        for name, value in variables.items()
        if name == "HOME" or (name.startswith("PREFECT_") and not name.startswith("PREFECT__"))
    }


def _code_of_run(*, anew: bool) -> int:
    """Execute the run as `python -m prefect.engine` does, and give the code that a process would end with."""
    from prefect.context import (  # noqa: PLC0415  only a child needs it
        SyncClientContext,
        refresh_global_settings_context,
    )
    from prefect.logging.configuration import setup_logging  # noqa: PLC0415  as above

    try:
        if anew:
            refresh_global_settings_context()
            setup_logging(incremental=False)
        sys.argv = [_PROGRAM]
        sys.modules.pop(
            _PROGRAM, None
        )  # whoever imported it meant a module; it is a program here, as it is meant to be
        with SyncClientContext.get_or_create():  # one client for all tasks, which would make one each
            runpy.run_module(_PROGRAM, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else _FAILED if end.code else 0
    except BaseException:  # noqa: BLE001  as the interpreter does for whatever a program lets through
        traceback.print_exc()
        return _FAILED
    return 0
