"""What stands for an integration is read off all its attempts, the newest word on each thing first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from keyturn.domain.attempt import AttemptKind, AttemptState, Stage, Terms
from keyturn.domain.credential import CredentialRef, Pointer
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.services.standing import Standing, standing
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import FakeLedger
from tests.fakes.secrets import FakeSecretStore, FakeVault
from tests.services.rotation.machine_world import sealed_manifest

Bodies = Mapping[Stage, Mapping[str, object]]
ONBOARDED: Bodies = {
    Stage.STORE_SECRET: {"stored_as": "current"},
    Stage.CREATE_PROFILE: {"profile_id": "p1", "name": "Gong", "updated_at": "1"},
    Stage.LINK_ACCOUNT: {"account_id": "a1"},
}


class History:
    """An integration and what became of it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger, self.secrets = FakeLedger(self.clock), FakeSecretStore(FakeVault())
        self.sealed: SealedManifest = sealed_manifest()

    @property
    def key(self) -> IntegrationKey:
        """The integration."""
        return self.sealed.key

    @property
    def stands(self) -> Standing:
        """What stands now."""
        found = standing(self.ledger, self.secrets, self.key)
        assert found
        return found

    def attempt(self, kind: AttemptKind, bodies: Bodies, end: AttemptState | None = AttemptState.COMPLETED) -> None:
        """An attempt a day after the one before, with these receipts, a minute each."""
        self.clock.move(days=1)
        opened = (
            self.ledger.open_attempt(self.sealed, None)
            if kind is AttemptKind.ONBOARDING
            else self.ledger.open_rotation(self.sealed, None, Terms())
        )
        run = self.ledger.begin_execution(opened.attempt.id, None)
        for stage, body in bodies.items():
            self.clock.move(minutes=1)
            with self.ledger.exclusive(run) as work:
                work.write_receipt(stage, body)
        if end is AttemptState.ABANDONED:
            self.ledger.finish(run, end, "not now")
        elif end is not None:
            self.ledger.finish(run, end, "")


@pytest.fixture
def history() -> History:
    """A new integration."""
    return History()


def test_nothing_stands_before_an_onboarding_is_complete(history: History) -> None:
    """An onboarding under way, or given up, leaves nothing to rely on."""
    history.attempt(AttemptKind.ONBOARDING, ONBOARDED, AttemptState.ABANDONED)
    assert standing(history.ledger, history.secrets, history.key) is None


def test_an_onboarding_stands(history: History) -> None:
    """Its manifest, profile and account, Vault's pointer, and when the secret was stored."""
    history.attempt(AttemptKind.ONBOARDING, ONBOARDED)
    pointer = history.secrets.write_pointer(history.key, Pointer(current=CredentialRef("a/client", 1, "f")))
    stands = history.stands
    assert (stands.key, stands.sealed.digest, stands.pointer) == (history.key, history.sealed.digest, pointer)
    assert (stands.profile, stands.account_id) == (ONBOARDED[Stage.CREATE_PROFILE], "a1")
    assert (stands.turned_at, stands.active) == (history.clock.now() - timedelta(minutes=2), None)


@pytest.mark.parametrize("end", [AttemptState.COMPLETED, AttemptState.ABANDONED, None])
def test_the_last_write_of_the_profile_counts(history: History, end: AttemptState | None) -> None:
    """Whoever wrote it, and whatever became of the attempt; the account stays the onboarding's."""
    history.attempt(AttemptKind.ONBOARDING, ONBOARDED)
    history.attempt(AttemptKind.ROTATION, {Stage.APPLY: {"profile_id": "p1", "updated_at": "2"}}, end)
    stands = history.stands
    assert (stands.profile, stands.account_id) == ({"profile_id": "p1", "updated_at": "2"}, "a1")
    assert (stands.active is not None) is (end is None)
    stored_at = history.clock.now() - timedelta(days=1, minutes=3)
    assert stands.turned_at == stored_at


def test_a_rollback_is_a_write_of_the_profile(history: History) -> None:
    """What was put back is newer than what was applied."""
    history.attempt(AttemptKind.ONBOARDING, ONBOARDED)
    writes = {Stage.APPLY: {"updated_at": "2"}, Stage.ROLL_BACK: {"updated_at": "3"}}
    history.attempt(AttemptKind.ROTATION, writes, None)
    assert history.stands.profile == {"updated_at": "3"}


def test_a_promotion_turns_the_secret(history: History) -> None:
    """The secret is as old as the last promotion, from the moment of that on."""
    history.attempt(AttemptKind.ONBOARDING, ONBOARDED)
    history.attempt(AttemptKind.ROTATION, {Stage.APPLY: {}, Stage.PROMOTE: {}}, None)
    assert history.stands.turned_at == history.clock.now()


def test_a_pair_that_waits_for_its_proof_is_not_in_use(history: History) -> None:
    """A pair stored as pending counts only when its onboarding is complete."""
    pending = {**ONBOARDED, Stage.STORE_SECRET: {"stored_as": "pending"}}
    history.attempt(AttemptKind.ONBOARDING, ONBOARDED)
    stored_at = history.stands.turned_at
    history.attempt(AttemptKind.ONBOARDING, pending, None)
    assert history.stands.turned_at == stored_at
