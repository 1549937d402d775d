"""Stage `create_profile`: exactly one StackOne Connector Profile with our name, holding the stored pair.

Find by our own key, write, read back, receipt. StackOne has no idempotency keys and never returns credentials, so what
is found without a receipt is written to once more rather than believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind, GateState, Policy
from keyturn.domain.manifest import CONNECTOR, SealedManifest
from keyturn.domain.profile import Profile, ProfileSpec, matching
from keyturn.errors import AmbiguousError, StageFailedError
from keyturn.ports import Clock, ConnectorHub, Ledger, ProfileWriters, SecretStore, Work, Written
from keyturn.services.asking import end_if_rejected, standing_gate
from keyturn.services.stage import credential_ref, receipt_of
from keyturn.services.turned_back import refuse_older


def profile_spec(sealed: SealedManifest) -> ProfileSpec:
    """The profile that a manifest asks for."""
    return ProfileSpec(sealed.manifest.profile_name, CONNECTOR, sealed.scopes, sealed.manifest.stackone.actions)


@dataclass(frozen=True, slots=True)
class Provisioning:
    """Brings the profile about, by API or by a person's hands."""

    ledger: Ledger
    secrets: SecretStore
    hub: ConnectorHub
    writers: ProfileWriters
    clock: Clock

    def create(self, execution: Execution) -> Receipt | Gate:
        """Have the profile written and read back.

        Returns:
            The receipt, or the open gate while a person fills in StackOne's form.

        Raises:
            StageFailedError: several profiles have our name, the profile is disabled, or the person declined.
            AmbiguousError: it was written and cannot be read back yet.
        """
        sealed = self.ledger.manifest(execution.digest)
        with self.ledger.exclusive(execution) as work:
            if receipt := work.receipt(Stage.CREATE_PROFILE):
                return receipt
            result = self._advance(work, execution, sealed)
        return end_if_rejected(self.ledger, execution, result) if isinstance(result, Gate) else result

    def _advance(self, work: Work, execution: Execution, sealed: SealedManifest) -> Receipt | Gate:
        spec = profile_spec(sealed)
        found = self._found(spec, execution)
        gate = work.gate(GateKind.STACKONE_FORM)
        if gate is not None and gate.state in (GateState.OPEN, GateState.REJECTED, GateState.APPROVED):
            return self._by_hand(work, gate, found, execution)
        writer, choice = self.writers.choose()
        ref = credential_ref(receipt_of(work, Stage.STORE_SECRET, execution))
        refuse_older(self.secrets.pointer(execution.key), ref, execution)
        credential = self.secrets.read(ref)
        written = writer.update(found[0], spec, credential) if found else writer.create(spec, credential)
        if written is Written.BY_HAND:
            return self._open_gate(work, sealed, found, choice.why)
        profile = self._read_back(spec, execution, before=found)
        return work.write_receipt(Stage.CREATE_PROFILE, _body(profile, writer.name, choice.why))

    def _found(self, spec: ProfileSpec, execution: Execution) -> list[Profile]:
        found = matching(self.hub.profiles(spec.connector), spec)
        if len(found) > 1:
            ids = ", ".join(p.id for p in found)
            raise StageFailedError(
                str(execution.key),
                f"{len(found)} StackOne profiles are named {spec.name!r}: {ids}",
                "Rename or remove all but one in StackOne, then run `keyturn onboard` again.",
            )
        return found

    def _read_back(self, spec: ProfileSpec, execution: Execution, before: Sequence[Profile]) -> Profile:
        """The profile as StackOne shows it now; a new one may take a moment to appear in the list."""
        for delay_s in (0.0, 0.2, 0.5, 1.0, 2.0):
            if delay_s:
                self.clock.sleep(delay_s)
            found = self._found(spec, execution)
            if found and _changed(found[0], before):
                return _usable(found[0], execution)
        raise AmbiguousError(
            str(execution.key),
            f"the profile {spec.name!r} was written and is not shown as changed yet",
            "It is looked for again; nothing is created twice.",
        )

    def _open_gate(self, work: Work, sealed: SealedManifest, found: Sequence[Profile], why: str) -> Gate:
        question = {
            "baseline": {p.id: p.updated_at for p in found},
            "why": why,
            "profile_name": sealed.manifest.profile_name,
        }
        policy = Policy(1, sealed.manifest.admins.stackone)
        return standing_gate(work, self.clock, sealed, GateKind.STACKONE_FORM, policy, question)

    def _by_hand(self, work: Work, gate: Gate, found: Sequence[Profile], execution: Execution) -> Receipt | Gate:
        if gate.state is GateState.REJECTED:
            return gate
        baseline = gate.question.get("baseline", {})
        new = [p for p in found if not isinstance(baseline, dict) or baseline.get(p.id) != p.updated_at]
        if not new:
            return gate
        profile = _usable(new[0], execution)
        if gate.state is GateState.OPEN:
            work.close_gate(gate.id, GateState.APPROVED, "the profile was seen in StackOne", {"profile_id": profile.id})
        return work.write_receipt(Stage.CREATE_PROFILE, _body(profile, "assisted", str(gate.question.get("why", ""))))


def _changed(profile: Profile, before: Sequence[Profile]) -> bool:
    return all(p.id != profile.id or p.updated_at != profile.updated_at for p in before)


def _usable(profile: Profile, execution: Execution) -> Profile:
    if not profile.active:
        raise StageFailedError(
            str(execution.key),
            f"the StackOne profile {profile.name!r} ({profile.id}) is disabled",
            "Enable it in StackOne, then run `keyturn onboard` again.",
        )
    return profile


def _body(profile: Profile, writer: str, why: str) -> dict[str, object]:
    return {
        "profile_id": profile.id,
        "name": profile.name,
        "updated_at": profile.updated_at,
        "default": profile.default,
        "writer": writer,
        "why": why,
    }
