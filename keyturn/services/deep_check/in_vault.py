"""The ledger against Vault: which pair is in use, which one is on its way, and what neither of them has heard of.

Vault older than the ledger has lost pairs, and Gong shows a secret once. A ledger older than Vault has forgotten what
people did, and asks for it again: for a click that would kill a secret, above all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from keyturn.domain.attempt import Stage
from keyturn.domain.credential import CredentialRef, Pointer
from keyturn.errors import CredentialRefusedError, VendorRefusedError
from keyturn.ports import KeptVersions, PairVersions, SecretStore
from keyturn.services.deep_check.remedies import hand_over, let_go, take_up
from keyturn.services.deep_check.told import Told
from keyturn.services.rotation.terms import grace_of

Says = tuple[str, str]
_SNAPSHOT = "Restore a newer snapshot of Vault, if there is one; otherwise"


@dataclass(frozen=True, slots=True)
class InVault:
    """What the ledger says of an integration, and Vault beside it."""

    told: Told
    secrets: SecretStore
    versions: PairVersions
    now: datetime

    def compare(self) -> Iterator[Says]:
        """What does not belong together: found and remedy, one by one; an error comes after what was found before it.

        Raises:
            TransientError: Vault did not answer.
            VendorRefusedError: Vault does not let us look.
        """
        try:
            pointer = self.secrets.pointer(self.told.key)
        except VendorRefusedError as error:
            if error.subject != f"{self.told.key} pointer":
                raise
            yield f"the pointer is lost: {error.problem}", error.remedy
            return
        yield from self._numbers(pointer)
        kept = self.versions.versions(self.told.key)
        yield from self._current(pointer)
        yield from self._on_its_way(pointer, kept)
        yield from self._unheard(pointer, kept)
        yield from self._reserved(pointer)
        yield from self._clocks(pointer)
        yield from self._readable(pointer)  # last, for it reads the pairs themselves and may fail

    def _numbers(self, pointer: Pointer) -> Iterator[Says]:
        writer = next((a for a in self.told.attempts if str(a.id) == pointer.attempt_id), None)
        if writer is None and pointer.attempt_id:
            yield (
                f"the pointer was written by attempt {pointer.attempt_id}, which the ledger does not know",
                f"The ledger is older than Vault. {let_go(self.told)}",
            )
        elif writer is not None and writer.fence < pointer.fence:
            yield (
                f"the pointer carries execution {pointer.fence}, and the ledger is at {writer.fence}",
                "The ledger is older than Vault, and its executions would be refused: run `keyturn db restored`.",
            )

    def _current(self, pointer: Pointer) -> Iterator[Says]:
        expected, found = self.told.in_use, pointer.current
        if expected is None or found in (expected, self.told.on_its_way or expected):
            return
        if found is None:
            if expected != pointer.pending:  # a pair that nothing has proven stays PENDING
                yield (
                    f"the pointer names no pair in use; the ledger says version {expected.version}",
                    self._lost(pointer),
                )
            return
        says = f"CURRENT is version {found.version}, and the ledger promoted version {expected.version} last"
        if expected == pointer.pending:
            yield f"Vault is older than the ledger: {says}, which is PENDING there", take_up(self.told, expected)
        elif found.version < expected.version:
            yield f"Vault is older than the ledger: {says}", self._lost(pointer)
        else:
            yield f"the ledger is older than Vault: {says}", f"The pair in use is safe. {let_go(self.told)}"

    def _on_its_way(self, pointer: Pointer, kept: KeptVersions) -> Iterator[Says]:
        ref = self.told.on_its_way or self.told.not_taken_up
        if ref is None or ref in (pointer.current, pointer.pending, pointer.retired, pointer.previous):
            return
        if ref.version not in kept.readable:
            yield f"version {ref.version}, which was handed in, is not in Vault", self._lost_on_its_way(pointer)
        elif self.told.on_its_way is not None:
            yield (
                f"version {ref.version}, which the ledger says is PENDING, is not in the pointer",
                f"The pair itself is in Vault. {take_up(self.told, ref)}",
            )

    def _unheard(self, pointer: Pointer, kept: KeptVersions) -> Iterator[Says]:
        """What was handed in, and the ledger knows nothing of it: nobody may click in Gong again for that."""
        heard, ref = self._heard, pointer.pending
        if ref is not None and ref not in heard:
            yield (
                f"Vault holds PENDING version {ref.version}, of which the ledger knows nothing",
                take_up(self.told, ref),
            )
        elif pointer.current is not None and pointer.current not in heard and self.told.in_use is None:
            yield (
                f"CURRENT is version {pointer.current.version}, of which the ledger knows nothing",
                hand_over(self.told, pointer.current.version),
            )
        covered = {r.version for r in (pointer.pending, pointer.current) if r} | {r.version for r in heard}
        newest = max(kept.readable, default=0)
        if newest > max(covered, default=0):
            yield (
                f"version {newest} lies in Vault, and neither the pointer nor the ledger knows of it",
                hand_over(self.told, newest),
            )

    def _readable(self, pointer: Pointer) -> Iterator[Says]:
        for name, ref in (("CURRENT", pointer.current), ("PENDING", pointer.pending)):
            if ref is None:
                continue
            try:
                self.secrets.read(ref)
            except CredentialRefusedError as error:
                yield (
                    f"{name}: {error.subject} {error.problem}",
                    (
                        "Restore Vault with its transit keys from one snapshot: another key makes other fingerprints. "
                        f"If the pair itself is gone: {self._lost(pointer)}"
                    ),
                )

    def _reserved(self, pointer: Pointer) -> Iterator[Says]:
        turning = self.told.rotation
        if turning and self.told.done(Stage.PREFLIGHT) and UUID(pointer.rotation or str(UUID(int=0))) != turning.id:
            yield (
                "the pointer is not reserved for the rotation under way",
                f"It stops before it changes anything: `keyturn rotate abandon {self.told.key}`, as said of the pairs.",
            )

    def _clocks(self, pointer: Pointer) -> Iterator[Says]:
        """Graces that ended while everything was down."""
        turned, turning = self.told.done(Stage.GONG_ROTATION), self.told.rotation
        if turning and turned and not self.told.done(Stage.APPLY) and self.now >= grace_of(turned).earliest_end:
            yield (
                "the grace of the older secret is over, and the new one is not in the profile",
                f"See `keyturn status {self.told.key}`; if it is halted, `keyturn rotate resume {self.told.key}`.",
            )
        ends = pointer.grace_ends_at
        if pointer.previous and ends and not turning and self.now >= datetime.fromisoformat(ends):
            yield (
                f"version {pointer.previous.version} is still called PREVIOUS, and its grace is over",
                f"Never put it back. The next rotation marks it dead: `keyturn rotate {self.told.key}` when it is due.",
            )

    @property
    def _heard(self) -> set[CredentialRef]:
        return {*self.told.handed_in, *(r for r in (self.told.in_use, self.told.on_its_way) if r)}

    def _lost(self, pointer: Pointer) -> str:
        """What to do when the pair in use is gone from Vault. StackOne still works with it, and tells it to nobody."""
        key, turning = self.told.key, self.told.rotation
        first = f"`keyturn rotate abandon {key}`, and then " if turning else ""
        lost = f"{_SNAPSHOT} the pair in use is lost to keyturn, while StackOne goes on working with it: {first}"
        if pointer.current is None:
            return f"{lost}`keyturn onboard {key}` with a new secret, made by *Rotate secret* in Gong when it asks."
        turned = self.told.newest(Stage.GONG_ROTATION)
        ends = grace_of(turned).latest_end if turned else None
        when = f" after {ends:%Y-%m-%d %H:%M} UTC, when the last grace is over" if ends and ends > self.now else ""
        return f"{lost}`keyturn rotate {key}`{when}."

    def _lost_on_its_way(self, pointer: Pointer) -> str:
        key = self.told.key
        if self.told.rotation is None:
            return (
                f"{_SNAPSHOT} have Gong's admin make a new secret (*Rotate secret*), and hand it in when the run asks: "
                f"`keyturn submit {key}`."
            )
        if self.told.done(Stage.APPLY) or pointer.current is None:
            return self._lost(pointer)
        return (
            f"{_SNAPSHOT} wait until the run asks for the secret again, then `keyturn rotate lost {key}`: a second "
            "click in Gong has to be approved."
        )
