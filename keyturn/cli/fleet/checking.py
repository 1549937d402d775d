"""`keyturn check` for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from keyturn import wiring
from keyturn.cli.fleet.round import Account, Outcome, What, bar
from keyturn.domain.health import Outcome as Seen
from keyturn.errors import RefusedError
from keyturn.services.fleet_files import Meant

if TYPE_CHECKING:
    from keyturn.cli.away import Away
    from keyturn.console.api.desk import Desk
    from keyturn.console.api.shapes.looks import Checked


@dataclass(frozen=True, slots=True)
class Looked:
    """What looking at many came to: what was seen of each that was looked at, and the account of all."""

    checked: Sequence[Checked]
    account: Account


@dataclass(slots=True)
class Looking:
    """Looks at many.

    Args:
        desk: who looks.
        at_once: how many at a time; `None` leaves that to the settings.
        newer_than: those that were found well within so long are left out.
        quiet: show no bar.
    """

    desk: Desk | Away
    at_once: int | None
    newer_than: timedelta
    quiet: bool
    _done: dict[str, Checked] = field(default_factory=dict)

    def go(self, meant: Sequence[Meant]) -> Looked:
        """Look at each that is registered, and keep what is seen. Ctrl-C finishes what is begun, and no more."""
        told = self._left_out(meant)
        keys = [one.key for one in meant if one.key is not None and one.name not in told]
        interrupted = False
        with bar("check", len(keys), quiet=self.quiet) as move:

            def tell(one: Checked) -> None:
                self._done[one.key] = one
                move(one.key)

            try:
                if keys:
                    for one in self.desk.check(keys, tell, self.at_once):
                        self._done.setdefault(one.key, one)
            except KeyboardInterrupt:
                interrupted = True
        of = [(one, told.get(one.name) or self._outcome(one)) for one in meant]
        checked = [self._done[one.name] for one in meant if one.name in self._done]
        return Looked(checked, Account("check", of, interrupted))

    def _left_out(self, meant: Sequence[Meant]) -> dict[str, Outcome]:
        """What can be told without looking, by name."""
        registered = {str(key) for key in self.desk.integrations()}
        remedy = "See `keyturn status --all` for the integrations there are."
        told = {one.name: Outcome.failed(one.fault) for one in meant if one.fault is not None}
        for one in meant:
            if one.name not in registered and one.name not in told:
                told[one.name] = Outcome.failed(RefusedError(one.name, "was never onboarded", remedy))
        return self._well_lately() | told

    def _well_lately(self) -> dict[str, Outcome]:
        """What was not well is looked at again: a command that goes on must not be green after a half that was red."""
        if not self.newer_than:
            return {}
        since = wiring.ports().clock.now() - self.newer_than
        seen = ((line.key, line.seen_at) for line in self.desk.lines() if line.seen_at and line.health == Seen.OK)
        return {key: Outcome(What.DONE, f"found well {at:%Y-%m-%d %H:%M} UTC") for key, at in seen if at > since}

    def _outcome(self, one: Meant) -> Outcome:
        checked = self._done.get(one.name)
        if checked is None:
            return Outcome(What.LEFT, exit_code=3)
        if checked.is_bad:
            return Outcome(What.CHECKED, exit_code=1)
        return Outcome(What.UNKNOWN, exit_code=3) if checked.is_unknown else Outcome(What.CHECKED)
