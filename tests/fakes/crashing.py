"""Ports on which processes die, answers get lost, and others act in between.

A trouble is planned for a call by its name, such as `secrets.write_pointer`. It strikes once: before the call has its
effect, or after it. For what is held (`ledger.exclusive`, `ledger.deciding`) the effect is the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyturn.errors import AmbiguousError, UnavailableError


class Crash(BaseException):
    """The process ends here."""


class When(StrEnum):
    """At which side of a call's effect."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens once at one side of a call."""

    call: str
    when: When
    act: Callable[[], None]


@dataclass
class Troubles:
    """The troubles to come, and the calls that were made."""

    planned: list[Trouble] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def crash(self, call: str, when: When) -> None:
        """Have the process die there."""
        self.planned.append(Trouble(call, when, _crash))

    def lose(self, call: str, when: When) -> None:
        """Have the request get lost, or its answer."""
        self.planned.append(Trouble(call, when, _unsent if when is When.BEFORE else _unanswered))

    def meanwhile(self, call: str, when: When, act: Callable[[], None]) -> None:
        """Have somebody else act there."""
        self.planned.append(Trouble(call, when, act))

    def clear(self) -> None:
        """Plan nothing any more."""
        self.planned.clear()

    def strike(self, call: str, when: When) -> None:
        """Let happen what is planned for this side of this call."""
        if when is When.BEFORE:
            self.calls.append(call)
        due = next((t for t in self.planned if (t.call, t.when) == (call, when)), None) if self.planned else None
        if due is not None:
            self.planned.remove(due)
            due.act()


class Crashing:
    """Stands before any port, and lets its troubles strike around every call."""

    def __init__(self, port: Any, name: str, troubles: Troubles) -> None:
        self._port, self._name, self._troubles = port, name, troubles

    def __getattr__(self, attribute: str) -> Any:
        """The port's method, with troubles."""
        found = getattr(self._port, attribute)
        return self._troubled(found, f"{self._name}.{attribute}") if callable(found) else found

    def _troubled(self, method: Callable[..., Any], call: str) -> Callable[..., Any]:
        def troubled(*args: Any, **named: Any) -> Any:
            result = method(*args, **named) if call in _HELD else None
            if isinstance(result, AbstractContextManager):
                return self._held(result, call)
            self._troubles.strike(call, When.BEFORE)
            result = method(*args, **named)
            self._troubles.strike(call, When.AFTER)
            return self._chosen(result) if call == "writers.choose" else result

        return troubled

    @contextmanager
    def _held(self, manager: AbstractContextManager[Any], call: str) -> Iterator[Any]:
        with manager as held:
            yield held
            self._troubles.strike(call, When.BEFORE)
        self._troubles.strike(call, When.AFTER)

    def _chosen(self, choice: tuple[Any, Any]) -> tuple[Any, Any]:
        writer, why = choice
        return Crashing(writer, "writer", self._troubles), why


_HELD = frozenset({"ledger.exclusive", "ledger.deciding"})


def _crash() -> None:
    raise Crash


def _unsent() -> None:
    raise UnavailableError("the other side", "cannot be reached", "Try again.")


def _unanswered() -> None:
    raise AmbiguousError("the other side", "took the request and did not answer", "Look before believing anything.")
