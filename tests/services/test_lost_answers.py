"""Requests and answers that get lost: nothing is made twice, and nothing is believed before it is read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from keyturn.domain.attempt import Receipt, Stage
from keyturn.domain.gate import GateKind, GateState
from keyturn.errors import AmbiguousError, RateLimitedError, TransientError, UnavailableError
from keyturn.sandbox.openbao import OpenBao
from tests.fakes.lossy import Lossy, lossy
from tests.services.world import World

FAULTS: dict[str, dict[str, object]] = {
    "dropped before": {"kind": "drop_before"},
    "dropped after": {"kind": "drop_after"},
    "silent": {"kind": "silence", "seconds": 0.1},
    "silent after": {"kind": "silence", "seconds": 0.1, "after": True},
    "500": {"kind": "status", "status": 500},
    "500 after": {"kind": "status", "status": 500, "after": True},
}


def spoil(world: World, match: str, fault: dict[str, object]) -> None:
    """Have StackOne's next call of that kind go wrong."""
    more = {name: value for name, value in fault.items() if name != "kind"}
    world.twins.fault(world.twins.stackone, match, str(fault["kind"]), **more)


@pytest.mark.parametrize("fault", FAULTS)
def test_new_profile(world: World, fault: str) -> None:
    """Whether the profile was made or not, nobody knows; the next try makes sure there is one (acceptance 4)."""
    world.stored()
    spoil(world, "POST /connector_profiles", FAULTS[fault])
    with world.refused(AmbiguousError, "may or may not have taken effect"):
        world.run(Stage.CREATE_PROFILE)
    assert Stage.CREATE_PROFILE not in world.stages
    assert world.waits().kind is GateKind.CONSENT
    assert world.twins.effects(world.twins.stackone)["profiles_created"] == 1
    assert [profile["name"] for profile in world.twins.profiles()] == [world.profile_name]
    assert world.consent(world.link()) == "authenticated"


@pytest.mark.parametrize("fault", ["dropped before", "dropped after", "500 after"])
def test_existing_profile(world: World, fault: str) -> None:
    """An update that may have been lost is made once more, on the same profile."""
    world.stored()
    world.twins.stackone_admin.create_profile(world.profile_name, "of-somebody", "kt-of-somebody-else", [])
    spoil(world, "PATCH /connector_profiles/*", FAULTS[fault])
    with world.refused(AmbiguousError):
        world.run(Stage.CREATE_PROFILE)
    assert Stage.CREATE_PROFILE not in world.stages
    assert world.waits().kind is GateKind.CONSENT
    assert world.twins.effects(world.twins.stackone)["profiles_created"] == 1
    assert world.consent(world.link()) == "authenticated"


@pytest.mark.parametrize("match", ["POST /connector_profiles", "GET /connector_profiles", "GET /oas/stackone.json"])
def test_too_many_requests(world: World, match: str) -> None:
    """After a 429 the stage says how long to wait, and the next call waits that long."""
    world.stored()
    spoil(world, match, {"kind": "status", "status": 429, "retry_after": 7})
    with world.refused(RateLimitedError) as told:
        world.run(Stage.CREATE_PROFILE)
    assert isinstance(told.value, TransientError)
    assert told.value.retry_after_s == 7
    assert world.clock.slept == []
    assert world.waits().kind is GateKind.CONSENT
    assert world.clock.slept == pytest.approx([7], abs=0.01)  # the budget is told of the pause by another clock
    assert world.twins.effects(world.twins.stackone)["profiles_created"] == 1


def test_read_back_fails(world: World) -> None:
    """A profile that was made and cannot be read back yet is no success, and is not made again."""
    world.stored()
    hub, made = world.ports.hub, "profiles_created"
    assert hub.profiles("gong") == []
    world.twins.fault(world.twins.stackone, "POST /connector_profiles", "drop_after")
    world.twins.fault(world.twins.stackone, "GET /connector_profiles", "status", status=503, count=1)
    with world.refused(UnavailableError):
        world.run(Stage.CREATE_PROFILE)
    with world.refused(AmbiguousError):
        world.run(Stage.CREATE_PROFILE)
    world.twins.fault(world.twins.stackone, "GET /connector_profiles", "drop_before", count=1)
    with world.refused(UnavailableError):
        world.run(Stage.CREATE_PROFILE)
    assert Stage.CREATE_PROFILE not in world.stages
    world.waits()
    assert world.twins.effects(world.twins.stackone)[made] == 1


@pytest.mark.parametrize("fault", ["dropped before", "dropped after", "silent"])
def test_connect_session(world: World, fault: str) -> None:
    """A link that got lost is known to nobody; the next one leads to the only account (acceptance 4)."""
    world.to_consent()
    spoil(world, "POST /connect_sessions", FAULTS[fault])
    with world.refused(AmbiguousError):
        world.link()
    assert world.gate(GateKind.CONSENT).question["sessions"] == []
    assert "link.made" not in world.events
    world.consent(world.link())
    assert world.ends().proven
    assert len(world.twins.accounts()) == 1


@pytest.mark.parametrize("match", ["GET /connect_sessions/*", "GET /accounts/*"])
def test_looking_at_the_consent(world: World, match: str) -> None:
    """A look that fails is no consent and no refusal; the next look finds it."""
    world.to_consent()
    world.consent(world.link())
    spoil(world, match, FAULTS["500"])
    with world.refused(UnavailableError):
        world.run()
    assert world.gate(GateKind.CONSENT).state is GateState.OPEN
    assert world.ends().proven


@pytest.mark.parametrize("fault", ["dropped after", "silent"])
def test_live_call(world: World, fault: str) -> None:
    """A live call that gives no answer gives no verdict: the attempt is neither completed nor failed."""
    world.linked()
    spoil(world, "POST /actions/rpc", FAULTS[fault])
    with world.refused(UnavailableError):
        world.run()
    assert Stage.TEST_CONNECTION not in world.stages
    assert world.attempt.ended_at is None
    assert world.ends().proven


@pytest.fixture
def before_vault(openbao: OpenBao) -> Iterator[Lossy]:
    """A way to Vault on which things get lost."""
    with lossy(int(openbao.addr.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
def far(new_world: Callable[..., World], before_vault: Lossy) -> World:
    """A world whose Vault is reached by that way."""
    return new_world(VAULT__ADDR=f"http://127.0.0.1:{before_vault.port}")


@pytest.mark.parametrize("which", ["before", "after"])
def test_deposit(far: World, before_vault: Lossy, which: str) -> None:
    """A deposit whose answer got lost is one version, and the gate refers to it (acceptance 4)."""
    far.to_intake()
    pair = far.create_integration()
    getattr(before_vault, which).append(f"POST /v1/keyturn/data/{far.key}/client")
    submitted = far.submit(pair)
    assert (submitted.gate.state, submitted.gate.answer["version"], far.versions()) == (GateState.APPROVED, 1, 1)
    assert far.waits().kind is GateKind.CONSENT


def test_deposit_that_never_arrives(far: World, before_vault: Lossy) -> None:
    """If Vault is away, nothing is said to be handed in, and the same pair can come again."""
    far.to_intake()
    pair = far.create_integration()
    before_vault.before += [f"POST /v1/keyturn/data/{far.key}/client"] * 3
    with far.refused(AmbiguousError):
        far.submit(pair)
    assert far.gate(GateKind.GONG_ADMIN).state is GateState.OPEN
    assert far.submit(pair).gate.answer["version"] == 1


@pytest.mark.parametrize("stage", [Stage.FETCH_SECRET, Stage.STORE_SECRET])
def test_pointer_write_answer_lost(far: World, before_vault: Lossy, stage: Stage) -> None:
    """A pointer write whose answer got lost is seen by reading back, and not made twice (acceptance 4)."""
    far.handed_in()
    if stage is Stage.STORE_SECRET:
        far.run(Stage.FETCH_SECRET)
    revision = far.pointer.revision
    before_vault.after.append(f"POST /v1/keyturn/data/{far.key}/pointer")
    assert isinstance(far.run(stage), Receipt)
    assert far.pointer.revision == revision + 1


@pytest.mark.parametrize("stage", [Stage.FETCH_SECRET, Stage.STORE_SECRET])
def test_pointer_write_lost(far: World, before_vault: Lossy, stage: Stage) -> None:
    """A pointer write that never arrived is no success; the next try writes it once."""
    far.handed_in()
    if stage is Stage.STORE_SECRET:
        far.run(Stage.FETCH_SECRET)
    revision = far.pointer.revision
    before_vault.before.append(f"POST /v1/keyturn/data/{far.key}/pointer")
    with far.refused(AmbiguousError):
        far.run(stage)
    assert stage not in far.stages
    far.run(stage)
    assert (stage in far.stages, far.pointer.revision) == (True, revision + 1)


def test_pair_cannot_be_read(far: World, before_vault: Lossy) -> None:
    """A Vault that is away says nothing about the pair: nobody is asked for it again."""
    far.handed_in()
    before_vault.before.append(f"GET /v1/keyturn/data/{far.key}/client")
    with far.refused(UnavailableError):
        far.run()
    assert len(far.gates(GateKind.GONG_ADMIN)) == 1
    assert far.waits().kind is GateKind.CONSENT
