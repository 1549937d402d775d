"""Ledger and Vault restored from backups of different moments: what contradicts is named, and its remedy works.

Gong and StackOne cannot be restored: they are as the last moment left them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn.domain.attempt import Halt
from keyturn.domain.gate import GateKind
from keyturn.domain.inconsistency import Store
from keyturn.errors import KeyturnError
from tests.services.restoring.life import Life

OWN_PAIR = "hand it in out of Vault"
NEW_SECRET = "`keyturn onboard {key}` with a new secret"
LOST = "the pair in use is lost to keyturn"
TAKES_UP = "`keyturn rotate {key}` takes up what is PENDING"
LET_GO = "Do not click in Gong. `keyturn rotate abandon {key}`"
RESTORED = "`keyturn db restored`"

# Of the ledger, of Vault: what the doctor says; nothing where both say the same of the integration.
MATRIX = {
    ("asked", "asked"): "",
    ("asked", "to click"): OWN_PAIR,
    ("asked", "applied"): OWN_PAIR,
    ("asked", "promoted"): OWN_PAIR,
    ("to click", "asked"): NEW_SECRET,
    ("to click", "to click"): "",
    ("to click", "applied"): TAKES_UP,
    ("to click", "promoted"): LET_GO,
    ("applied", "asked"): NEW_SECRET,
    ("applied", "to click"): LOST,
    ("applied", "applied"): "",
    ("applied", "promoted"): RESTORED,
    ("promoted", "asked"): NEW_SECRET,
    ("promoted", "to click"): LOST,
    ("promoted", "applied"): TAKES_UP,
    ("promoted", "promoted"): "",
}


@pytest.fixture
def lived(life: Life) -> Iterator[Life]:
    """A life up to the grace of a turned secret, with backups of four moments."""
    life.live()
    yield life
    life.world.ports.ledger.close()  # type: ignore[attr-defined]  # the real one
    life.stores.remove()


@pytest.mark.parametrize(("ledger", "vault"), MATRIX)
def test_what_contradicts_is_named_and_its_remedy_ends_well(lived: Life, ledger: str, vault: str) -> None:
    """Each pair of moments: found with a remedy, nothing changed by looking; then one profile and one CURRENT."""
    world, key = lived.world, lived.world.key
    lived.restored(ledger, vault)
    before = (world.pointer.revision, world.ports.trail.head())
    said = lived.said()
    assert (world.pointer.revision, world.ports.trail.head()) == before
    assert MATRIX[ledger, vault].format(key=key) in said
    assert bool(MATRIX[ledger, vault]) is bool(said), said
    follow(lived, MATRIX[ledger, vault])
    assert len([p for p in world.twins.profiles() if p["name"] == world.profile_name]) == 1
    pointer = world.pointer
    assert pointer.pending is None
    assert pointer.current
    probe = world.ports.gong.probe(world.ports.secrets.read(pointer.current))
    assert probe.outcome == "valid"
    account = next(a for a in reversed(world.twins.accounts()) if a["status"] == "active")
    assert world.ports.hub.list_users(str(account["id"])).ok
    assert lived.said() == ""


def follow(life: Life, says: str) -> None:
    """Do what the doctor says, to the end."""
    life.raise_fences()
    if says == RESTORED or (not says and life.turning):
        resume(life)
        return
    if life.turning:
        goes_no_further(life)
        life.abandon()
    if says in ("", OWN_PAIR, NEW_SECRET):
        life.onboard_to_the_end()
    else:
        life.turned.pass_time(days=0 if says == TAKES_UP else 8)
        life.rotate_to_the_end()


def resume(life: Life) -> None:
    """The rotation goes on by itself; where it asks for the click, there is a second one."""
    gate = life.turned.run()
    if gate is not None and gate.kind is GateKind.GONG_ROTATION:
        life.turned.submit(life.turned.click())
        life.turned.run()
    life.finish()


def goes_no_further(life: Life) -> None:
    """Whoever has not looked, and lets the rotation go on: it halts, pages, asks nobody, and moves no pointer."""
    before = life.world.pointer
    life.turned.pass_time(days=8)  # beyond every proof and grace
    with pytest.raises(KeyturnError):
        life.turned.run()
    assert life.turned.attempt.halt is Halt.ORPHANED
    after = life.world.pointer
    assert (after.current, after.pending) == (before.current, before.pending)
    assert list(life.world.ports.ledger.gates(key=life.world.key)) == []


def test_a_store_that_does_not_answer_is_unknown(life: Life) -> None:
    """Vault away: what is compared with it is unknown, with a remedy, and everything else is compared all the same."""
    life.world.to_intake()
    life.world.ports = life.new_ports(VAULT__ADDR="http://127.0.0.1:9")
    found = life.compare().found
    assert {(one.store, one.known) for one in found} == {(Store.VAULT, False), (Store.LEDGER, False)}
    assert all("not compared" in one.found and one.remedy for one in found)
    life.stores.remove()
