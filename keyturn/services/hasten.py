"""What a webhook does: it has somebody look now at what would be looked at soon anyway.

Its content is believed in nothing: it names an account, and whoever looks asks StackOne. So a webhook that is lost,
refused or forged costs a few minutes at most, and the fleet is as right without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.webhook import NEWEST, OLDEST, AccountEvent, why_out_of_time
from keyturn.errors import KeyturnError, RefusedError
from keyturn.ports import Clock, Ledger, Observatory, Runs, Visits

APART_S = 10.0
"""The watch is asked for once within so many seconds; what was marked meanwhile, its next round takes on."""

_REMEMBERED_S = (OLDEST + NEWEST).total_seconds()  # the longest time between which one event is in time twice
_BY_LINK = (GateKind.CONSENT, GateKind.PROOF)


@dataclass(frozen=True, slots=True)
class Hastening:
    """Wakes runs, and has integrations checked."""

    ledger: Ledger
    observatory: Observatory
    runs: Runs
    visits: Visits
    clock: Clock

    def take(self, event: AccountEvent, digest: str) -> Sequence[IntegrationKey]:
        """Hasten what an event is about.

        Args:
            event: as it was signed.
            digest: of the raw body: the same one again does nothing.

        Returns:
            The integrations that were hastened: none when it is nobody's account, or a repetition.

        Raises:
            RefusedError: it was sent too long ago, or in the future.
        """
        if why := why_out_of_time(event, self.clock.now()):
            raise RefusedError("this webhook", why, "Nothing is lost: the watch finds out by itself.")
        keys = self.observatory.concerned(event.account_id, event.owner_id) if _is_ours(event) else ()
        if not keys or self.visits.seen(f"webhook/{digest}"):
            return ()
        for key in keys:
            self.observatory.hasten(key)
            self._wake(key)
        if self.visits.first("hasten/watch", APART_S):
            with suppress(KeyturnError):  # it is marked by now, and the next round on schedule takes it on
                self.runs.ask_for_watch()
        # Noted last: StackOne sends again what was answered with a 5xx, and that must not be a repetition.
        self.visits.first(f"webhook/{digest}", _REMEMBERED_S)
        return keys

    def _wake(self, key: IntegrationKey) -> None:
        """Resume what waits for a link. Whether there is one, the run finds out; if not, it suspends again."""
        for gate in self.ledger.gates(key=key):
            attempt = self.ledger.attempt(gate.attempt_id)
            if gate.kind in _BY_LINK and attempt.moves and attempt.flow_run_id is not None:
                with suppress(KeyturnError):  # Prefect is away: the watch wakes it later
                    self.runs.resume(attempt.flow_run_id)


def _is_ours(event: AccountEvent) -> bool:
    return event.provider in ("", CONNECTOR)
