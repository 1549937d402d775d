"""The pointer moves when the new secret is proven, and the old one is marked dead when its grace is over."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.gate import GateKind
from keyturn.services.intake import Told
from tests.services.rotation.turned import Turned


def to_grace(turned: Turned) -> None:
    """Up to a promoted secret, 26 hours after a click whose moment was told."""
    turned.to_click()
    turned.submit(turned.click(), Told(clicked_at=turned.world.clock.now()))
    turned.at(GateKind.PROOF)
    turned.pass_time(hours=26)
    turned.at(GateKind.GRACE)


def test_the_grace_to_the_minute(turned: Turned) -> None:
    """One minute before its end the old secret works and is offered as PREVIOUS; one minute after it is retired."""
    to_grace(turned)
    world = turned.world
    old = world.pointer.previous
    assert turned.secret_of(old) == turned.pair.client_secret
    turned.pass_time(days=5, hours=21, minutes=59)
    assert turned.works(turned.pair)
    assert not turned.woken()
    assert turned.run()
    assert (world.pointer.previous, world.pointer.retired) == (old, None)
    turned.pass_time(minutes=2)
    assert not turned.works(turned.pair)
    assert turned.woken()
    assert turned.run() is None
    assert (world.pointer.previous, world.pointer.retired) == (None, old)
    assert world.receipt(Stage.RETIRE).body["old"] == "refused by Gong"
    assert turned.attempt.state is AttemptState.COMPLETED


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"end_graces": False}, "still works after its grace"),
        ({"token_error_body": "ip_rejected"}, "dead by the clock; Gong says nothing of it"),
    ],
)
def test_what_gong_says_of_the_retired_secret(turned: Turned, options: dict[str, object], says: str) -> None:
    """An old secret that lives on is retired all the same, and its receipt says so; silence is called silence."""
    to_grace(turned)
    turned.world.twins.options(turned.world.twins.gong, **options)
    turned.pass_time(days=6)
    assert turned.run() is None
    assert turned.world.receipt(Stage.RETIRE).body["old"] == says
    assert (turned.world.pointer.previous, turned.attempt.state) == (None, AttemptState.COMPLETED)


def test_a_proof_that_comes_after_the_grace(turned: Turned) -> None:
    """The older secret is dead by then: it never becomes PREVIOUS, and the rotation is done in the same run."""
    new = turned.to_proof()
    assert turned.world.pointer.pending
    turned.pass_time(days=8)
    assert turned.run() is None
    pointer = turned.world.pointer
    assert pointer.previous is None
    assert turned.secret_of(pointer.current) == new.client_secret
    assert turned.secret_of(pointer.retired) == turned.pair.client_secret
