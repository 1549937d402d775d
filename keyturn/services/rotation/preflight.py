"""Stage `preflight`: everything that the machine can do before a person is asked to click.

The click in Gong is the point of no return: the old secret dies when its grace ends, whatever happens then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from keyturn.domain.attempt import AttemptState, Execution, Receipt, Stage, Terms
from keyturn.domain.credential import CredentialRef, Pointer, ProbeOutcome
from keyturn.domain.gate import GateState
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.profile import Profile
from keyturn.domain.schedule import in_window, opens_at
from keyturn.errors import ConfigurationError, RefusedError, StageFailedError, VendorRefusedError
from keyturn.ports import Channels, Clock, ConnectorHub, Ledger, Outbox, ProfileWriters, SecretStore, TokenEndpoint
from keyturn.services.rotation.proof import is_disproof
from keyturn.services.rotation.terms import faults_of_turn, grace_after, last_turn, ref_as
from keyturn.services.stage import once
from keyturn.services.standing import Standing, standing


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
        """Check everything, and reserve the pointer for this rotation.

        Raises:
            StageFailedError: something stands in the way; the attempt has ended, and nothing was changed.
        """
        try:
            return once(
                self.ledger, execution, Stage.PREFLIGHT, lambda work: self._checked(execution, work.attempt.terms)
            )
        except (RefusedError, VendorRefusedError, ConfigurationError) as error:
            self.ledger.finish(execution, AttemptState.ABANDONED, f"preflight: {error.problem}")
            raise StageFailedError(
                str(execution.key), f"it cannot be rotated now: {error.problem}", error.remedy
            ) from None

    def _checked(self, execution: Execution, terms: Terms) -> dict[str, object]:
        now = self.clock.now()
        stands = standing(self.ledger, self.secrets, execution.key)
        if stands is None or stands.profile is None or stands.pointer.current is None:
            raise RefusedError(
                str(execution.key), "it was never onboarded to its end", "Run `keyturn onboard` for it first."
            )
        refuse_outside_window(stands, terms, now)
        # Where the secret in use is known to somebody, taking up another one would let it live on.
        adopted = None if terms.compromised else self._worth_adopting(execution, stands)
        if adopted is None:
            refuse_inside_grace(self._grace_ends(execution, stands.pointer), execution, terms, now)
        profile = self._profile(stands)
        _, choice = self.writers.choose()
        told = self._told(execution)
        pointer = self.secrets.write_pointer(execution.key, _reserved(stands.pointer, execution))
        return {
            "old": ref_as(pointer.current),
            "adopt": ref_as(adopted),
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
        if left is None or current is None or self._was_disproven(stands.pointer):
            return None
        credential = self.secrets.read(left)
        if faults_of_turn(credential, self.secrets.read(current)):
            return None
        return None if self.gong.probe(credential).outcome is ProbeOutcome.WRONG_PAIR else left

    def _handed_in_last(self, execution: Execution, pointer: Pointer) -> CredentialRef | None:
        """What was handed in to a rotation that ended before it was staged: the pointer knows nothing of it."""
        turned = last_turn(self.ledger, execution)
        if turned is None or turned.state is not GateState.APPROVED:
            return None
        ref = CredentialRef(
            str(turned.answer["path"]), int(str(turned.answer["version"])), str(turned.answer["fingerprint"])
        )
        return None if ref in (pointer.current, pointer.previous, pointer.retired) else ref

    def _was_disproven(self, pointer: Pointer) -> bool:
        """Whether the rotation that left PENDING saw that it does not work."""
        if not pointer.rotation:
            return False
        key = self.ledger.attempt(UUID(pointer.rotation)).key
        gates = self.ledger.gates(key=key, only_open=False)
        return any(is_disproof(g) for g in gates if str(g.attempt_id) == pointer.rotation)

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


def _reserved(pointer: Pointer, execution: Execution) -> Pointer:
    token = str(execution.attempt_id)
    return replace(pointer, rotation=token, attempt_id=token, fence=execution.fence)
