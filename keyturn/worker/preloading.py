"""What the fork server imports, before the first run and while it has nothing else to do, and from which files."""

from __future__ import annotations

import importlib
import os
import pkgutil
import site
import sys
import sysconfig
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

ENGINE = (
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.flow_runs",
    "prefect.artifacts",
    "prefect.input",
    "prefect.runtime",
    "prefect.events.worker",
    "prefect.logging.handlers",
    "prefect.client.orchestration",
    "prefect.utilities.visualization",
    "prefect._internal.metrics",
    "prefect._internal.observers",
    "anyio._backends._asyncio",
    "encodings.idna",
    "websockets.asyncio.client",
)


def preload(names: Iterable[str]) -> list[str]:
    """Import the engine and the modules named. Gives what could not be imported.

    A module that cannot be imported fails the run that needs it, and no other.
    """
    return [name for name in (*ENGINE, *names) if not imported(name)]


def parts_of(names: Iterable[str]) -> Iterator[str]:
    """What is below the packages named. What is below one of these in turn is only known once that is imported."""
    for name in names:
        package = sys.modules.get(name)
        if package is not None and hasattr(package, "__path__"):
            for part in pkgutil.walk_packages(package.__path__, f"{name}.", onerror=lambda _: None):
                if "migrations" not in part.name and not part.name.endswith("__main__"):
                    yield part.name


def imported(name: str) -> bool:
    """Import a module; whether that went well. If not, its output says why."""
    try:
        importlib.import_module(name)
    except Exception:  # noqa: BLE001  whatever a module raises; the server has to live for the other flows
        traceback.print_exc()
        return False
    return True


def complete_models() -> None:
    """Do for all models what pydantic has put off until each is used, which every run would do anew."""
    for model in [model for model in _below(BaseModel) if not model.__pydantic_complete__]:
        model.model_rebuild(raise_errors=False)


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)


def sources(since: float) -> dict[str, int]:
    """The files that the process was made from, with the time of their last change in nanoseconds.

    The standard library is left out, and of what is installed beside it only the folders count: an installation adds
    and removes entries there. Everything else is looked at file by file, so an editable install is noticed too.
    What was changed after `since` (when importing began) may have been read before: it gets 0, so it counts as changed.
    What claims to be from the future would do so for ever, and is taken as it is.
    """
    installed = {str(Path(folder)) for folder in (*site.getsitepackages(), sysconfig.get_path("purelib"))}
    elsewhere = tuple(f"{folder}{os.sep}" for folder in (*installed, sysconfig.get_path("stdlib")))
    known = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    own = {file for file in known if file and file.endswith(".py") and not file.startswith(elsewhere)}
    times = {path: changed_at(path) for path in own | installed}
    return {path: at if not since * 1e9 < at <= time.time_ns() else 0 for path, at in times.items() if at}


def changed_at(path: str) -> int:
    """When a file was last changed, in nanoseconds; 0 when there is none."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0
