"""One command over many integrations: some at once, a bar for whoever watches, and an account of each at the end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyturn.cli import showing
from keyturn.errors import AmbiguousError, KeyturnError, NotPermittedError, RefusedError, TransientError
from keyturn.services.fleet_files import Meant
from keyturn.services.many import each

MOST_IN_A_ROW = 20
"""After so many failures one after the other that are nobody's own, the rest would fail as well."""


class What(StrEnum):
    """What became of one integration."""

    STARTED = "started"
    PLANNED = "planned"
    CHECKED = "checked"
    UNDER_WAY = "already under way"
    DONE = "done before"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    LEFT = "not begun"


BAD = (What.REFUSED, What.FAILED, What.UNKNOWN)
_GOES_ON = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one integration, and what to do next.

    Attributes:
        says: what there is to say; of a failure, what is wrong.
        exit_code: as if the command had been about this one alone.
        everybodys: it failed by what has nothing to do with this one.
        body: more of it, for programs.
    """

    what: What
    says: str = ""
    remedy: str = ""
    exit_code: int = 0
    everybodys: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def failed(cls, error: KeyturnError) -> Outcome:
        """What a failure comes to."""
        what = What.REFUSED if isinstance(error, RefusedError) else What.FAILED
        if isinstance(error, AmbiguousError):
            what = What.UNKNOWN
        everybodys = isinstance(error, TransientError | NotPermittedError)
        says = f"{error.subject}: {error.problem}"
        return cls(what, says, error.remedy, error.exit_code, everybodys)


@dataclass(frozen=True, slots=True)
class Account:
    """What a command came to.

    Attributes:
        of: each integration and what became of it, in the order of the command.
        interrupted: somebody stopped it.
        gave_up: it stopped by itself, since everything failed.
    """

    command: str
    of: Sequence[tuple[Meant, Outcome]]
    interrupted: bool = False
    gave_up: bool = False

    @property
    def counts(self) -> Mapping[What, int]:
        """How many came to what, in the order of `What`."""
        counted = Counter(outcome.what for _, outcome in self.of)
        return {what: counted[what] for what in What if counted[what]}

    @property
    def exit_code(self) -> int:
        """The lowest of all that are not 0: what a person has to decide on comes before what will pass by itself."""
        return min((outcome.exit_code for _, outcome in self.of if outcome.exit_code), default=0)


@dataclass(slots=True)
class Round:
    """Goes through a fleet.

    Args:
        command: its name.
        at_once: how many integrations at a time.
        quiet: show no bar, even on a terminal.
    """

    command: str
    at_once: int
    quiet: bool
    _in_a_row: int = 0

    def go(self, meant: Sequence[Meant], act: Callable[[Meant], Outcome]) -> Account:
        """Act on each; whatever becomes of one stops no other. Ctrl-C finishes what is begun, and no more."""
        done: dict[int, Outcome] = {}
        interrupted = False

        def one(numbered: tuple[int, Meant]) -> Outcome:
            return _tried(numbered[1], act)

        with bar(self.command, len(meant), quiet=self.quiet) as move:

            def tell(numbered: tuple[int, Meant], outcome: Outcome) -> None:
                done[numbered[0]] = outcome
                self._in_a_row = self._in_a_row + 1 if outcome.everybodys else 0
                move(numbered[1].name)

            try:
                each(enumerate(meant), one, self.at_once, tell, lambda: self._in_a_row < MOST_IN_A_ROW)
            except KeyboardInterrupt:
                interrupted = True
        left = Outcome(What.LEFT, exit_code=_GOES_ON)
        of = [(one, done.get(number, left)) for number, one in enumerate(meant)]
        return Account(self.command, of, interrupted, gave_up=len(done) < len(meant) and not interrupted)


@contextmanager
def bar(command: str, total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar on standard error, where somebody can see it; gives what moves it on by one, with that one's name."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(command),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[at]}"),
    )
    hidden = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=showing.console(stderr=True), transient=True, disable=hidden) as progress:
        task = progress.add_task("", total=total, at="")
        yield lambda name: progress.update(task, advance=1, at=showing.plain(name))


def _tried(one: Meant, act: Callable[[Meant], Outcome]) -> Outcome:
    if one.fault is not None:
        return Outcome.failed(one.fault)
    try:
        return act(one)
    except KeyturnError as error:
        return Outcome.failed(error)
