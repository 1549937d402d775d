from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

import pytest

from keyturn.console import words
from keyturn.console.pages.inbox import MOST
from keyturn.domain.attempt import AttemptKind
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.schedule import after_working_days
from tests.console.conftest import Browser, Console
from tests.fakes.fleet import FakeFleet
from tests.services.world import World


def questions(browser: Browser) -> dict[str, str]:
    """What waits in somebody's inbox: text by its gate, in the order of the page."""
    answer = browser.get("/inbox")
    assert answer.status_code == HTTPStatus.OK, answer.text
    found = re.findall(r'<li class="card question" data-live-row="([^"]+)">(.*?)</li>', answer.text, re.DOTALL)
    return {gate: _text(body) for gate, body in found}


def test_a_question_waits_for_those_who_were_asked(world: World, console: Console) -> None:
    """An approver sees what is asked, of whom and since when, and a button to it; a viewer sees nothing."""
    gate = world.to_approval()
    bob = console.browser("bob", "approver")
    asked = questions(bob)[str(gate.id)]
    assert str(world.key) in asked
    assert "Read the manifest, and approve it or not." in asked
    assert "Asked of approver since" in asked
    assert f'class="button primary" href="/gates/{gate.id}"' in bob.get("/inbox").text
    assert (
        "What waits for approver, the most urgent first."
        in console.browser("bo", "approver", "person").get("/inbox").text
    )
    viewer = console.browser("vic", "viewer")
    assert questions(viewer) == {}
    assert "Nothing waits for you." in viewer.get("/inbox").text


def test_it_is_gone_once_it_is_decided(world: World, console: Console) -> None:
    """The next question is another group's, and appears in their inbox."""
    gate = world.to_approval()
    bob, grace = console.browser("bob", "approver"), console.browser("grace", "gong_admin")
    assert str(gate.id) in questions(bob)
    assert str(gate.id) not in questions(grace)
    world.approve()
    following = world.waits()
    assert str(gate.id) not in questions(bob)
    assert "Create the integration in Gong by the kit" in questions(grace)[str(following.id)]


def test_four_eyes_are_told_before_the_button(world: World, console: Console) -> None:
    """Whoever started an attempt sees that somebody else must decide, and why; others see a button to decide by."""
    gate = world.to_approval()
    alice = world.person("alice")
    assert gate.requester == alice.id
    requester = console.of(replace(alice, groups=frozenset({"approver"})))
    own = questions(requester)[str(gate.id)]
    assert "button primary" not in requester.get("/inbox").text
    assert "somebody else must decide" in own
    assert "you started this attempt" in own
    other = questions(console.browser("bob", "approver"))[str(gate.id)]
    assert "somebody else" not in other
    assert "Read and decide" in other


def test_who_has_decided_is_not_asked_again(world: World, console: Console) -> None:
    """Where two must approve, the first one sees that one more is missing, and that it is not theirs to give."""
    world.start(sealed=world.sealed(approval={"approvals": 2}))
    gate = world.waits()
    world.approve("bob")
    mine = questions(console.of(world.person("bob")))[str(gate.id)]
    assert "1 of 2 approvals missing" in mine
    assert "you have decided already" in mine


def test_what_happens_if_nobody_acts_is_told(world: World, console: Console) -> None:
    """A reminder, an escalation, the question asked afresh, each with its day; and that nothing fails by that."""
    gate = world.to_approval()
    asked = questions(console.browser("bob", "approver"))[str(gate.id)]
    for words_of, days in (("a reminder on", 1), ("escalation on", 5), ("and on", 14)):
        assert f"{words_of} {after_working_days(gate.opened_at, days):%Y-%m-%d %H:%M} UTC" in asked
    assert "asked afresh" in asked
    assert "Nothing fails." in asked


def test_what_is_over_is_told_as_over(world: World, console: Console) -> None:
    """After the last reminder and the escalation, only what is still to come is announced."""
    gate = world.to_approval()
    world.clock.sleep(timedelta(days=8).total_seconds())
    asked = questions(console.browser("bob", "approver"))[str(gate.id)]
    assert "reminder" not in asked
    assert "it was escalated on" in asked


def test_a_grace_that_runs_out_says_what_breaks(world: World, console: Console) -> None:
    """Then it is wrong to say that nothing fails."""
    gate = world.to_form()
    row = console.ports.fleet.row(world.key)
    assert row is not None
    ends = console.ports.clock.now() + timedelta(hours=20, minutes=5)
    console.ports.fleet = FakeFleet([replace(row, grace_ends_at=ends, kind=AttemptKind.ROTATION)])
    asked = questions(console.browser("olga", "operator"))[str(gate.id)]
    assert "20 h 5 min left until the grace ends" in asked
    assert "the connection breaks" in asked
    assert "Nothing fails" not in asked


def test_the_order_is_the_fleets_and_many_are_cut(world: World, console: Console) -> None:
    """The most urgent first; how many there are besides those that are shown is said, and where they are."""
    gate = world.to_approval()
    row = console.ports.fleet.row(world.key)
    assert row is not None
    console.ports.fleet = FakeFleet([row] * (MOST + 1))
    bob = console.browser("bob", "approver")
    assert list(questions(bob)) == [str(gate.id)]
    page = bob.get("/inbox").text
    assert page.count('class="card question"') == MOST
    assert "1 more is not shown here." in page
    assert f'<a href="/?group=approver">approver ({MOST + 1})</a>' in page
    console.ports.fleet = FakeFleet([row] * MOST)
    assert "not shown" not in bob.get("/inbox").text


@pytest.mark.parametrize("kind", GateKind)
def test_every_question_has_words_without_commands(world: World, kind: GateKind) -> None:
    """A page says what to do, and not what to type."""
    gate = replace(world.to_approval(), kind=kind, question={"grace_hours": 72})
    for asked in (_asks(gate), words.asked(kind), words.breaks(gate)):
        assert asked
        assert "keyturn " not in asked
        assert "`" not in asked


def test_questions_of_one_kind_differ_by_what_they_are_about(world: World) -> None:
    """A second rotation, putting a secret back and putting one in are not asked in the same words."""
    gate = world.to_approval()
    form = replace(gate, kind=GateKind.STACKONE_FORM)
    asked = {
        _asks(gate),
        words.asks(gate, AttemptKind.ROTATION),
        _asks(replace(gate, question={"second": True})),
        _asks(form),
        _asks(replace(form, question={"stage": "apply"})),
        _asks(replace(form, question={"stage": "roll_back"})),
    }
    assert len(asked) == 6


def _asks(gate: Gate) -> str:
    return words.asks(gate, AttemptKind.ONBOARDING)


def _text(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split())
