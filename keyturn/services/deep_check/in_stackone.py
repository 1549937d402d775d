"""The ledger against StackOne, which is never restored: what the receipts say was made, and what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from keyturn.domain.attempt import Stage, Wish
from keyturn.domain.gate import GateKind
from keyturn.domain.profile import Profile
from keyturn.errors import VendorRefusedError
from keyturn.ports import ConnectorHub
from keyturn.services.deep_check.told import WRITES, Told

Says = tuple[str, str]


@dataclass(frozen=True, slots=True)
class InStackOne:
    """What the ledger says of an integration, and StackOne beside it.

    Attributes:
        profiles: those of its name, and the one of its receipts, or more.
    """

    told: Told
    hub: ConnectorHub
    profiles: Sequence[Profile]

    def compare(self) -> Iterator[Says]:
        """What does not belong together: found and remedy, one by one; an error comes after what was found before it.

        Raises:
            TransientError: StackOne did not answer.
        """
        yield from self._doubled()
        yield from self._profile()
        yield from self._account()

    @property
    def _named(self) -> list[Profile]:
        return [p for p in self.profiles if p.name == self.told.profile_name]

    def _doubled(self) -> Iterator[Says]:
        if len(self._named) > 1:
            ids = ", ".join(p.id for p in self._named)
            yield (
                f"{len(self._named)} profiles are named {self.told.profile_name!r}: {ids}",
                "Rename or remove all but the one that has accounts, in StackOne.",
            )

    def _profile(self) -> Iterator[Says]:
        written = self.told.newest(*WRITES)
        if written is None:
            if self._named and not self.told.waits_at(GateKind.STACKONE_FORM):
                yield (
                    f"profile {self._named[0].id} exists, and the ledger has no receipt of it",
                    f"No second one is made: `keyturn onboard {self.told.key}` finds it by its name.",
                )
            return
        profile_id = str(written.body["profile_id"])
        found = next((p for p in self.profiles if p.id == profile_id), None)
        if found is None:
            remedy = f"Its accounts are gone with it: `keyturn onboard {self.told.key}`"
            yield f"profile {profile_id} is gone from StackOne", f"{self._ended_first()}{remedy}."
        elif found.updated_at != written.body["updated_at"] and not self._in_motion():
            yield from self._edited(found, written.body)

    def _edited(self, found: Profile, written: Mapping[str, object]) -> Iterator[Says]:
        remedy = (
            "Somebody wrote it, or the ledger is older than StackOne. "
            f"`keyturn verify {self.told.key}` says whether the connection works; the next rotation writes it anew."
        )
        yield f"profile {found.id} was written at {found.updated_at}, not at {written['updated_at']}", remedy

    def _in_motion(self) -> bool:
        """Whether the rotation under way may have written it and have no receipt yet."""
        turning = self.told.rotation
        staged = self.told.done(Stage.STAGE_SECRET) is not None
        return turning is not None and staged and (turning.wish is Wish.ROLL_BACK or not self.told.done(Stage.APPLY))

    def _account(self) -> Iterator[Says]:
        linked = self.told.newest(Stage.LINK_ACCOUNT)
        if linked is None:
            return
        account_id = str(linked.body["account_id"])
        anew = f"{self._ended_first()}`keyturn onboard {self.told.key}`, and have Gong's admin consent by a fresh link."
        try:
            account = self.hub.account(account_id)
        except VendorRefusedError as error:
            if not error.gone:
                raise
            yield f"account {account_id}, which was linked, is gone from StackOne", anew
            return
        if account.status != "active":
            yield (
                f"account {account_id} is {account.status}: {'; '.join(account.reasons) or 'no reason given'}",
                f"`keyturn check {self.told.key}` says why; if consent is lost: {anew}",
            )

    def _ended_first(self) -> str:
        turning = self.told.rotation
        return f"`keyturn rotate abandon {self.told.key}`, then " if turning else ""
