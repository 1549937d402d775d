"""Everything that the ledger says about one integration, read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Receipt, Stage
from keyturn.domain.credential import CredentialRef
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.domain.integration import IntegrationKey
from keyturn.ports import Ledger
from keyturn.services.stage import credential_ref

WRITES = (Stage.CREATE_PROFILE, Stage.APPLY, Stage.ROLL_BACK)
_HANDED_IN = (GateKind.GONG_ADMIN, GateKind.GONG_ROTATION)


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger says.

    Attributes:
        attempts: newest first.
        receipts: of each attempt, in stage order.
        gates: all of them, oldest first.
        profile_name: of the manifest that was registered last, or of the file's; empty when neither is there.
        mount: of Vault, where the pairs are.
    """

    key: IntegrationKey
    attempts: Sequence[Attempt]
    receipts: Mapping[UUID, Sequence[Receipt]]
    gates: Sequence[Gate]
    profile_name: str
    mount: str = "keyturn"

    @property
    def active(self) -> Attempt | None:
        """The attempt under way."""
        return next((a for a in self.attempts if a.state is AttemptState.ACTIVE), None)

    @property
    def rotation(self) -> Attempt | None:
        """The rotation under way."""
        return self.active if self.active and self.active.kind is AttemptKind.ROTATION else None

    @property
    def onboarded(self) -> bool:
        """Whether an onboarding was ever completed."""
        return any(a.kind is AttemptKind.ONBOARDING and a.state is AttemptState.COMPLETED for a in self.attempts)

    def done(self, stage: Stage) -> Receipt | None:
        """The active attempt's receipt of a stage."""
        found = self.receipts[self.active.id] if self.active else ()
        return next((r for r in found if r.stage is stage), None)

    def newest(self, *stages: Stage) -> Receipt | None:
        """The newest receipt of any of these stages, in whatever attempt."""
        found = [r for kept in self.receipts.values() for r in kept if r.stage in stages]
        return max(found, key=lambda r: r.at, default=None)

    @property
    def in_use(self) -> CredentialRef | None:
        """The pair that the ledger says is CURRENT."""
        promoted = sorted(self._promotions(), key=lambda receipt: receipt.at)
        return credential_ref(promoted[-1]) if promoted else None

    @property
    def on_its_way(self) -> CredentialRef | None:
        """The pair that the active attempt has taken up, and that is PENDING until it becomes CURRENT."""
        receipt = self.done(Stage.STAGE_SECRET) or self.done(Stage.FETCH_SECRET)
        return credential_ref(receipt) if receipt else None

    @property
    def handed_in(self) -> Sequence[CredentialRef]:
        """Every pair that was ever handed in, oldest first."""
        asked = [g for g in self.gates if g.kind in _HANDED_IN and "fingerprint" in g.answer]
        return [CredentialRef(_path(g), int(str(g.answer["version"])), str(g.answer["fingerprint"])) for g in asked]

    @property
    def not_taken_up(self) -> CredentialRef | None:
        """What was handed in to the active attempt, and has not been looked at in Vault yet."""
        if self.active is None or self.on_its_way is not None:
            return None
        mine = [g for g in self.gates if g.attempt_id == self.active.id and g.kind in _HANDED_IN]
        if not mine or mine[-1].state is not GateState.APPROVED or "fingerprint" not in mine[-1].answer:
            return None
        return CredentialRef(_path(mine[-1]), int(str(mine[-1].answer["version"])), str(mine[-1].answer["fingerprint"]))

    @property
    def profile_id(self) -> str:
        """Of the profile that was written last; empty when none was."""
        written = self.newest(*WRITES)
        return str(written.body["profile_id"]) if written else ""

    def waits_at(self, *kinds: GateKind) -> bool:
        """Whether the active attempt asks for one of these."""
        return any(g.kind in kinds and g.state is GateState.OPEN for g in self.gates)

    def _promotions(self) -> Iterator[Receipt]:
        for attempt in self.attempts:
            for receipt in self.receipts[attempt.id]:
                if _put_in_use(receipt, attempt):
                    yield receipt


def told(ledger: Ledger, key: IntegrationKey, profile_name: str, mount: str = "keyturn") -> Told:
    """Read it.

    Raises:
        TransientError: the ledger is away.
    """
    attempts = ledger.attempts(key)
    receipts = {a.id: ledger.receipts(a.id) for a in attempts}
    sealed = ledger.registered(key)
    name = sealed.manifest.profile_name if sealed else profile_name
    return Told(key, attempts, receipts, ledger.gates(key=key, only_open=False), name, mount)


def _put_in_use(receipt: Receipt, attempt: Attempt) -> bool:
    """Whether its pair became CURRENT; one that only a link could prove did at the end of its onboarding."""
    if receipt.stage is Stage.STORE_SECRET:
        return receipt.body["stored_as"] == "current" or attempt.state is AttemptState.COMPLETED
    return receipt.stage is Stage.PROMOTE


def _path(gate: Gate) -> str:
    return str(gate.answer["path"])
