"""What a twin remembers: one pydantic model, kept in one private JSON file."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from keyturn.sandbox.twins.faults import Fault


class Options(BaseModel):
    """Switches of a twin for what is unknown about its vendor. Unknown names and values are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def merged(self, changes: Mapping[str, object]) -> Self:
        """These options with some changed, validated. Raises pydantic's ValidationError."""
        return self.model_validate({**self.model_dump(), **changes})


class TwinState(BaseModel):
    """What every twin remembers: its clock, its switches, what it did, and the faults still to come."""

    options: Options = Options()
    clock_offset_seconds: float = 0
    effects: dict[str, int] = {}
    calls: dict[str, int] = {}
    faults: list[Fault] = []

    def now(self) -> datetime:
        """The twin's own time in UTC: real time plus what /_twin/clock has added."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset_seconds)

    def count(self, effect: str) -> None:
        """Add one to an effect's counter."""
        self.effects[effect] = self.effects.get(effect, 0) + 1


StateT = TypeVar("StateT", bound=TwinState)


class Store(Generic[StateT]):
    """A twin's state and the file it lives in (mode 0600, for it holds the secrets the vendor would hold)."""

    def __init__(self, path: Path, fresh: Callable[[], StateT], options: Mapping[str, object] | None = None) -> None:
        self.path = path
        self._fresh = fresh
        self._launch_options = dict(options or {})
        self.state = self._load()
        self._apply_launch_options()
        self.save()

    @contextmanager
    def change(self) -> Iterator[StateT]:
        """Yield the state to be changed, and write it when the block ends well."""
        yield self.state
        self.save()

    def save(self) -> None:
        """Write the state beside its file and move it into place, so that a reader never sees half of it."""
        partial = self.path.with_name(self.path.name + ".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.state.model_dump_json())
        partial.replace(self.path)

    def reset(self) -> None:
        """Forget everything and begin again with the options of the launch."""
        self.state = self._fresh()
        self._apply_launch_options()
        self.save()

    def _load(self) -> StateT:
        fresh = self._fresh()
        if not self.path.exists():
            return fresh
        return fresh.model_validate_json(self.path.read_text(encoding="utf-8"))

    def _apply_launch_options(self) -> None:
        self.state.options = self.state.options.merged(self._launch_options)
