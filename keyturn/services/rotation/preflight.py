"""Stage `preflight`: everything that the machine can do before a person is asked to click.

The click in Gong is the point of no return: the old secret dies when its grace ends, whatever happens then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from keyturn.domain.attempt import AttemptState, Execution, Receipt, Stage, Terms, Wish
from keyturn.domain.credential import CredentialRef, Pointer, ProbeOutcome
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.profile import Profile
from keyturn.domain.schedule import in_window, opens_at
from keyturn.errors import ConfigurationError, RefusedError, StageFailedError, VendorRefusedError
from keyturn.ports import (
    Channels,
    Clock,
    ConnectorHub,
    Ledger,
    Outbox,
    ProfileWriters,
    SecretStore,
    TokenEndpoint,
    Work,
)
from keyturn.services.rotation.proof import is_disproof
from keyturn.services.rotation.terms import clicked, faults_of_turn, grace_after, hours_of, last_turn, ref_as
from keyturn.services.standing import Standing, standing

_FRESH_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Preflight:
    """Looks at everything that the steps after the click will need."""

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint
    hub: ConnectorHub
    writers: ProfileWriters
    channels: Channels
    outbox: Outbox
    clock: Clock

    def check(self, execution: Execution) -> Receipt:
        """Check everything, and reserve the pointer for this rotation. Once more, when its approval took its time.

        Raises:
            StageFailedError: something stands in the way; the attempt has ended, and nothing was changed.
        """
        try:
            with self.ledger.exclusive(execution) as work:
                known = work.receipt(Stage.PREFLIGHT)
                if known is not None and not self._is_stale(work, known):
                    return known
                body = self._checked(work, execution, again=known is not None)
                if known is not None:
                    work.rewind((Stage.PREFLIGHT,), "looked at again before the click: its approval took its time")
                return work.write_receipt(Stage.PREFLIGHT, body)
        except (RefusedError, VendorRefusedError, ConfigurationError) as error:
            self.ledger.finish(execution, AttemptState.REFUSED, f"preflight: {error.problem}")
            raise StageFailedError(
                str(execution.key), f"it cannot be rotated now: {error.problem}", error.remedy
            ) from None

    def _is_stale(self, work: Work, known: Receipt) -> bool:
        """Whether what was seen is of long ago, and nobody was asked to click on the strength of it."""
        asked = work.receipt(Stage.GONG_ROTATION) is not None or work.gate(GateKind.GONG_ROTATION) is not None
        return not asked and self.clock.now() >= known.at + _FRESH_FOR

    def _checked(self, work: Work, execution: Execution, *, again: bool) -> dict[str, object]:
        now, terms = self.clock.now(), work.attempt.terms
        stands = standing(self.ledger, self.secrets, execution.key)
        if stands is None or stands.profile is None or stands.pointer.current is None:
            raise RefusedError(
                str(execution.key), "it was never onboarded to its end", "Run `keyturn onboard` for it first."
            )
        if not again:  # the window says when a rotation may begin; an approval has no hours
            refuse_outside_window(stands, terms, now)
        # Where the secret in use is known to somebody, taking up another one would let it live on.
        adopted, lost_click = None if terms.compromised else self._worth_adopting(execution, stands), ""
        if adopted is None:
            refuse_inside_grace(self._grace_ends(execution, stands.pointer), execution, terms, now)
            lost_click = self._mind_lost_click(work, execution, now)
        profile = self._profile(stands)
        _, choice = self.writers.choose()
        told = self._told(execution)
        pointer = self.secrets.write_pointer(execution.key, _reserved(stands.pointer, execution, now))
        return {
            "old": ref_as(pointer.current),
            "adopt": ref_as(adopted),
            "lost_click": lost_click,
            "pointer": pointer.revision,
            "profile_id": profile.id,
            "writer": choice.writer,
            "channels": told,
            **self._before(stands),
        }

    def _profile(self, stands: Standing) -> Profile:
        wanted = str((stands.profile or {})["profile_id"])
        found = next((p for p in self.hub.profiles(CONNECTOR) if p.id == wanted), None)
        if found is None:
            raise RefusedError(
                str(stands.key), f"its StackOne profile {wanted} is gone", "Run `keyturn onboard`, which makes it anew."
            )
        if not found.active:
            raise RefusedError(str(stands.key), f"its StackOne profile {wanted} is disabled", "Enable it in StackOne.")
        return found

    def _told(self, execution: Execution) -> int:
        """How many channels will hear of it. If they cannot even be read, nobody would be paged when it matters."""
        channels = self.channels.channels()
        self.outbox.tell(
            Notice(
                Event.ROTATION_PLANNED, Severity.INFO, str(execution.key), f"rotation/{execution.attempt_id}/planned"
            )
        )
        return len(channels)

    def _worth_adopting(self, execution: Execution, stands: Standing) -> CredentialRef | None:
        """A secret that a rotation before was given and did not come to use: Gong shows it once.

        Not one that cannot be right, that Gong refuses, or that was seen not to work.
        """
        left, current = (
            self._handed_in_last(execution, stands.pointer) or stands.pointer.pending,
            stands.pointer.current,
        )
        if left is None or current is None or self._was_disproven(execution, left):
            return None
        credential = self.secrets.read(left)
        if faults_of_turn(credential, self.secrets.read(current)):
            return None
        return None if self.gong.probe(credential).outcome is ProbeOutcome.WRONG_PAIR else left

    def _handed_in_last(self, execution: Execution, pointer: Pointer) -> CredentialRef | None:
        """What was handed in to a rotation that ended before it was staged: the pointer knows nothing of it."""
        turned = last_turn(self.ledger, execution)
        if turned is None or any(r.stage is Stage.STAGE_SECRET for r in self.ledger.receipts(turned.attempt_id)):
            return None
        ref = CredentialRef(
            str(turned.answer["path"]), int(str(turned.answer["version"])), str(turned.answer["fingerprint"])
        )
        return None if ref in (pointer.current, pointer.previous, pointer.retired) else ref

    def _was_disproven(self, execution: Execution, left: CredentialRef) -> bool:
        """Whether a rotation that was given this secret saw that it does not work."""
        gates = self.ledger.gates(key=execution.key, only_open=False)
        given = {g.attempt_id for g in gates if g.answer.get("fingerprint") == left.fingerprint}
        seen_failing = {g.attempt_id for g in gates if is_disproof(g)}
        return bool(seen_failing & given) or any(self._had_taken_up(attempt, left) for attempt in seen_failing)

    def _had_taken_up(self, attempt: UUID, left: CredentialRef) -> bool:
        turned = (r for r in self.ledger.receipts(attempt) if r.stage is Stage.GONG_ROTATION)
        return any(r.body["fingerprint"] == left.fingerprint for r in turned)

    def _mind_lost_click(self, work: Work, execution: Execution, now: datetime) -> str:
        """Where a click has been whose secret nobody has, another one kills the secret in use: to be approved as such.

        Until the grace of that click is over; then the secret in use is dead, and nothing is left to be killed.

        Returns:
            The earliest moment of that click, in ISO 8601, or an empty text.
        """
        lost = None if work.attempt.terms.compromised else self._lost_click(execution)
        if lost is None or now >= (lost.decided_at or now) + timedelta(hours=hours_of(lost)):
            return ""
        work.want(Wish.LOST_SECRET, "a rotation before was clicked in Gong, and its new secret never came")
        return str(lost.question.get("clicked_since") or lost.opened_at.isoformat())

    def _lost_click(self, execution: Execution) -> Gate | None:
        """The question of the newest click that is known of, if its secret was not handed in."""
        gates = self.ledger.gates(key=execution.key, only_open=False)
        for attempt in self.ledger.attempts(execution.key):
            asked = [g for g in gates if g.attempt_id == attempt.id and g.kind is GateKind.GONG_ROTATION]
            if asked and attempt.id != execution.attempt_id and clicked(self.ledger, attempt):
                return None if asked[-1].state is GateState.APPROVED else asked[-1]
        return None

    def _grace_ends(self, execution: Execution, pointer: Pointer) -> datetime | None:
        """When the grace of the last click is over, as the pointer and the ledger know it."""
        known = []
        if pointer.grace_ends_at and pointer.rotation != str(execution.attempt_id):
            known.append(datetime.fromisoformat(pointer.grace_ends_at))
        if turned := last_turn(self.ledger, execution):
            known.append(grace_after(turned, self.ledger.attempt(turned.attempt_id).terms).latest_end)
        return max(known, default=None)

    def _before(self, stands: Standing) -> dict[str, object]:
        """How the connection was beforehand, so that a failure afterwards can be told from one that was there."""
        current = stands.pointer.current
        probe = self.gong.probe(self.secrets.read(current)) if current is not None else None
        call = self.hub.list_users(stands.account_id) if stands.account_id else None
        return {
            "probe_before": probe.outcome.value if probe else "",
            "account_id": stands.account_id,
            "call_before": call.ok if call else None,
        }


def refuse_outside_window(stands: Standing, terms: Terms, now: datetime) -> None:
    """Check that the manifest allows a rotation now.

    Raises:
        RefusedError: it does not, and when it will.
    """
    policy = stands.sealed.manifest.rotation
    if terms.compromised or terms.ignore_window or in_window(policy, now):
        return
    opens = opens_at(policy, now)
    when = f"it opens at {opens:%Y-%m-%d %H:%M} UTC" if opens else "it never opens in the next two years"
    raise RefusedError(
        str(stands.key), f"its rotation window is closed; {when}", "Wait for it, or use --ignore-window; it is audited."
    )


def refuse_inside_grace(ends: datetime | None, execution: Execution, terms: Terms, now: datetime) -> None:
    """Check that no other rotation's grace runs: Gong would kill the older secret at once.

    Raises:
        RefusedError: one does.
    """
    if terms.compromised or ends is None or now >= ends:
        return
    raise RefusedError(
        str(execution.key),
        f"the grace of the rotation before runs until {ends:%Y-%m-%d %H:%M} UTC",
        "Rotating again now would kill the older secret at once: wait for its end.",
    )


def _reserved(pointer: Pointer, execution: Execution, now: datetime) -> Pointer:
    """The pointer with this rotation's name on it; a PREVIOUS that an abandoned one left is marked dead in its time.

    But not one that is newer than CURRENT: it was a PENDING, and the clock rests on what people said of their click.
    """
    token, ends_at, previous = str(execution.attempt_id), pointer.grace_ends_at, pointer.previous
    kept = replace(pointer, rotation=token, attempt_id=token, fence=execution.fence)
    over = bool(ends_at) and now >= datetime.fromisoformat(ends_at)
    older = previous is not None and pointer.current is not None and previous.version < pointer.current.version
    return replace(kept, previous=None, retired=previous) if over and older else kept
