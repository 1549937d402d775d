"""A rotation by the API: what is asked at each of its gates, and what people say on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyturn.cli import kit_view
from keyturn.console.api.shapes.questions import Gate
from keyturn.domain.gate import GateKind
from tests.console.api.conftest import Caller
from tests.services.rotation.turned import Turned
from tests.services.world import World

Callers = Callable[..., Caller]


@pytest.fixture
def turned(world: World) -> Turned:
    """An onboarded integration."""
    pair = world.stored()
    world.go_on()
    world.consent(world.link())
    world.go_on()
    return Turned(world, pair)


def asked(caller: Caller) -> Gate:
    """The open gate, with all that comes with it."""
    (gate,) = caller.read("/gates", key=caller.key)
    return Gate.model_validate(caller.read(f"/gates/{gate['id']}"))


def test_a_rotation_with_programs_alone(turned: Turned, caller: Callers) -> None:
    """What is approved are its steps; what is done is a kit that says not to click twice; then it is handed in."""
    world, alice = turned.world, caller("alice")
    alice.done("rotate", {"ignore_window": True})
    turned.at(GateKind.APPROVE)
    gate = asked(alice)
    assert gate.kit is None
    assert "ask 1 of approver to approve" in gate.steps
    assert caller("bob").done("approve", {"digest": gate.digest})["resumed"] is True
    turned.at(GateKind.GONG_ROTATION)
    gate = asked(alice)
    assert (gate.steps, gate.kit is not None) == ([], True)
    pair = turned.click()
    world.secrets.append(pair.client_secret)
    moment = world.clock.now().isoformat()
    handed = {"client_id": pair.client_id, "client_secret": pair.client_secret, "grace_hours": 168}
    late = caller("grace").refused(409, "submit", handed | {"clicked_at": "2126-01-01T00:00:00Z"})
    assert "still to come" in late["detail"]
    early = caller("grace").refused(409, "submit", handed | {"clicked_at": "0001-01-01T00:00:00+14:00"})
    assert "nobody was to click by then" in early["detail"]
    assert caller("grace").done("submit", handed | {"clicked_at": moment, "gate": str(gate.id)})["version"] == 2
    closed = [g for g in world.ports.ledger.gates(key=world.key, only_open=False) if "clicked_at" in g.answer]
    assert [g.answer["clicked_at"] for g in closed] == [moment]
    turned.run()
    assert alice.one()["rotation"] == "applied"
    assert alice.done("rollback", {"reason": "it fails"})["wish"] == "roll_back"
    assert caller("bob").refused(403, "rollback", {"reason": "me too"})["title"] == "NotPermittedError"


def test_a_lost_secret_is_approved_anew(turned: Turned, caller: Callers, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever was asked for it says so; what is approved then warns, in the answer and on a terminal."""
    turned.to_click()
    turned.click()
    assert caller("bob").refused(403, "lost", {"reason": "not mine"})["title"] == "NotPermittedError"
    assert caller("grace").done("lost", {"reason": "closed the window"})["wish"] == "lost_secret"
    turned.at(GateKind.APPROVE)
    gate = asked(caller("bob"))
    assert "no way back" in " ".join(gate.steps)
    kit_view.show_asked(gate)
    shown = capsys.readouterr().out
    assert f"Rotation of {turned.world.key}" in shown
    assert str(gate.question["warning"]) in " ".join(shown.split())
    assert all(f"{number}. {step}" in shown for number, step in enumerate(gate.steps, 1))


def test_a_kit_looks_the_same_wherever_it_comes_from(
    world: World, caller: Callers, capsys: pytest.CaptureFixture[str]
) -> None:
    """An approver at a terminal sees the whole kit before being asked, by an answer of the API, too."""
    world.to_approval()
    gate = asked(caller("bob"))
    kit_view.show_asked(gate)
    shown = capsys.readouterr().out
    assert f"Kit for {world.key}" in shown
    assert gate.kit is not None
    for screen in gate.kit.steps:
        assert screen.title in shown
        assert all(" · ".join(field.values) in shown for field in screen.fields)
