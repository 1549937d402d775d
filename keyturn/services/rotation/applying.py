"""Stages `apply` and `roll_back`: a secret is put into the StackOne profile, by API or by a person's hands.

Which one StackOne really holds cannot be read. So the profile is written, read back, and compared with the last
receipt; and what is written a second time is the same secret, so a lost answer does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.credential import CredentialRef, ProbeOutcome
from keyturn.domain.gate import Gate, GateKind, GateState, Policy
from keyturn.domain.manifest import CONNECTOR, SealedManifest
from keyturn.domain.profile import Profile
from keyturn.errors import AmbiguousError, KeyturnError, RefusedError, StageFailedError
from keyturn.ports import Clock, ConnectorHub, Ledger, ProfileWriters, SecretStore, TokenEndpoint, Work, Written
from keyturn.services.provision import profile_spec
from keyturn.services.rotation.orphan import orphan
from keyturn.services.rotation.terms import AFTER_APPLY, certainly_works, new_ref, old_ref
from keyturn.services.stage import as_body, rearm_at
from keyturn.services.standing import standing
from keyturn.services.turned_back import refuse_foreign

_COUNTS = (GateState.OPEN, GateState.APPROVED, GateState.REJECTED)


@dataclass(frozen=True, slots=True)
class Applying:
    """Writes a secret into the profile that stands."""

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint
    hub: ConnectorHub
    writers: ProfileWriters
    clock: Clock

    def apply(self, execution: Execution) -> Receipt | Gate:
        """Put PENDING into the profile.

        Returns:
            The receipt, or the open gate while a person fills in StackOne's form.

        Raises:
            StageFailedError: the profile is gone, or the person declined.
            AmbiguousError: it was written and cannot be read back yet.
        """
        with self.ledger.exclusive(execution) as work:
            if receipt := work.receipt(Stage.APPLY):
                return receipt
            result = self._written(work, execution, Stage.APPLY, new_ref(work, execution))
        return self._unless_declined(execution, result)

    def roll_back(self, execution: Execution) -> Receipt | Gate:
        """Put the older secret back into the profile while it works; PENDING stays.

        Raises:
            RefusedError: Gong does not take the older secret any more, or may not; nothing was changed.
        """
        with self.ledger.exclusive(execution) as work:
            if receipt := work.receipt(Stage.ROLL_BACK):
                return receipt
            old = old_ref(work, execution)
            dead = self._why_dead(work, execution, old)
            if dead:
                # Whether a rollback before this one was lost on its way back is not known: to be put in again, then.
                work.rewind(AFTER_APPLY, f"not rolled back: {dead}")
            else:
                result = self._written(work, execution, Stage.ROLL_BACK, old)
            if not dead and isinstance(result, Receipt):
                work.rewind(AFTER_APPLY, "rolled back")
                self._point_back(execution, old)
        if dead:
            raise RefusedError(
                str(execution.key),
                f"the older secret cannot be put back: {dead}",
                "Put in the new one: `keyturn rotate resume`.",
            )
        self._try(execution)
        return self._unless_declined(execution, result)

    def _written(self, work: Work, execution: Execution, stage: Stage, ref: CredentialRef) -> Receipt | Gate:
        refuse_foreign(self.secrets.pointer(execution.key), execution)
        sealed = self.ledger.manifest(execution.digest)
        last, profile = self._profile(execution)
        gate = self._own_gate(work, stage)
        if gate is not None:
            return self._by_hand(work, gate, profile, stage, ref)
        writer, choice = self.writers.choose()
        if writer.update(profile, profile_spec(sealed), self.secrets.read(ref)) is Written.BY_HAND:
            return self._ask(work, sealed, profile, stage, ref, choice.why)
        moved = stage is Stage.ROLL_BACK or profile.updated_at != last["updated_at"]
        after = self._read_back(execution, profile, changed_before=moved)
        return work.write_receipt(stage, _body(after, ref, writer.name, choice.why))

    def _try(self, execution: Execution) -> None:
        """Have StackOne use the secret once: an account that failed shows itself as active again only when called."""
        with suppress(KeyturnError):
            stands = standing(self.ledger, self.secrets, execution.key)
            if stands is not None and stands.account_id:
                self.hub.list_users(stands.account_id)

    def _profile(self, execution: Execution) -> tuple[Mapping[str, object], Profile]:
        """The last receipt of the profile, and the profile as it is now."""
        stands = standing(self.ledger, self.secrets, execution.key)
        if stands is None or stands.profile is None:
            raise StageFailedError(str(execution.key), "no profile was ever made", "Run `keyturn onboard`.")
        return stands.profile, self._found(execution, str(stands.profile["profile_id"]))

    def _found(self, execution: Execution, profile_id: str) -> Profile:
        found = next((p for p in self.hub.profiles(CONNECTOR) if p.id == profile_id), None)
        if found is None:
            raise StageFailedError(
                str(execution.key),
                f"the StackOne profile {profile_id} is gone",
                "Its accounts are lost with it: abandon this rotation and run `keyturn onboard`.",
            )
        return found

    def _read_back(self, execution: Execution, before: Profile, *, changed_before: bool) -> Profile:
        """The profile as StackOne shows it after a write that it took.

        A write may change nothing, and then nothing moves: the answer to the one before it was lost.
        """
        for delay_s in (0.0, 0.2, 0.5, 1.0, 2.0):
            if delay_s:
                self.clock.sleep(delay_s)
            after = self._found(execution, before.id)
            if after.updated_at != before.updated_at:
                return after
        if changed_before:
            return after
        raise AmbiguousError(
            str(execution.key),
            f"the profile {before.id} was written and is not shown as changed",
            "It is written again with the same secret; nothing is lost.",
        )

    def _own_gate(self, work: Work, stage: Stage) -> Gate | None:
        """The gate of this stage, if it was asked; one of the other stage is closed."""
        gate = work.gate(GateKind.STACKONE_FORM)
        if gate is None or gate.state not in _COUNTS:
            return None
        if gate.question.get("stage") == stage.value:
            return gate
        if gate.state is GateState.OPEN:
            work.close_gate(gate.id, GateState.VOID, f"{stage} is asked instead", {})
        return None

    def _ask(
        self, work: Work, sealed: SealedManifest, profile: Profile, stage: Stage, ref: CredentialRef, why: str
    ) -> Gate:
        question = {
            "stage": stage.value,
            "baseline": {profile.id: profile.updated_at},
            "profile_name": profile.name,
            "why": why,
            **as_body(ref),
        }
        policy = Policy(1, sealed.manifest.admins.stackone)
        return work.open_gate(GateKind.STACKONE_FORM, policy, question, rearm_at(sealed, self.clock.now()))

    def _by_hand(self, work: Work, gate: Gate, profile: Profile, stage: Stage, ref: CredentialRef) -> Receipt | Gate:
        baseline = gate.question.get("baseline")
        known = baseline.get(profile.id) if isinstance(baseline, dict) else None
        if gate.state is GateState.REJECTED or known == profile.updated_at:
            return gate
        if gate.state is GateState.OPEN:
            work.close_gate(gate.id, GateState.APPROVED, "the change was seen in StackOne", {"profile_id": profile.id})
        return work.write_receipt(stage, _body(profile, ref, "assisted", str(gate.question.get("why", ""))))

    def _why_dead(self, work: Work, execution: Execution, old: CredentialRef) -> str:
        """Why the older secret cannot be put back, a clause; empty when it can.

        The clock may be wrong by as much as the person's word on the click; Gong's own answer counts more.
        """
        if self.gong.probe(self.secrets.read(old)).outcome is ProbeOutcome.WRONG_PAIR:
            return "Gong refuses it"
        return "" if certainly_works(work, execution, self.clock.now()) else "its grace is over"

    def _point_back(self, execution: Execution, old: CredentialRef) -> None:
        """Make the older secret CURRENT again if the new one had been promoted; the new one stays, as PENDING."""
        pointer = self.secrets.pointer(execution.key)
        if pointer.current == old:
            return
        back = replace(pointer, current=old, pending=pointer.current, previous=None, fence=execution.fence)
        self.secrets.write_pointer(execution.key, back)

    def _unless_declined(self, execution: Execution, result: Receipt | Gate) -> Receipt | Gate:
        """After the click a no is no end: the old secret dies, whether anybody wants to or not."""
        if isinstance(result, Gate) and result.state is GateState.REJECTED:
            why = "StackOne's form was declined by whoever was asked to fill it in"
            orphan(self.ledger, execution, why)
            raise StageFailedError(
                str(execution.key),
                why,
                "`keyturn rotate resume` asks for the new secret to be put in, `keyturn rotate rollback` for the old.",
            )
        return result


def _body(profile: Profile, ref: CredentialRef, writer: str, why: str) -> dict[str, object]:
    shown = {"profile_id": profile.id, "name": profile.name, "updated_at": profile.updated_at}
    return shown | as_body(ref) | {"default": profile.default, "writer": writer, "why": why}
