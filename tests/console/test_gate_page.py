"""The page of a gate: what is asked of whom, what there is to do, and what became of it."""

from __future__ import annotations

import base64
import re
from uuid import uuid4

import pytest

from keyturn.console.pages.gate_kit import DRAWINGS
from keyturn.console.render import environment
from keyturn.domain.attempt import Stage
from keyturn.domain.gate import GateKind, GateState
from keyturn.domain.kit import kit, stackone_edit, stackone_steps
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.turn_kit import turn_kit
from keyturn.sandbox.people import Pair
from tests.console.conftest import Console
from tests.console.forms import forms_of, words_of
from tests.console.seats import Sit, sitting
from tests.services.rotation.turned import Turned
from tests.services.world import World

LARGE, SMALL = (base64.b64encode(text).decode() for text in (b"a large picture", b"a small one"))


@pytest.fixture
def sit(world: World, console: Console) -> Sit:
    """Have people sit down in front of the console."""
    return sitting(world, console)


@pytest.fixture
def turned(world: World) -> Turned:
    """An onboarded integration."""
    pair = world.stored()
    world.go_on()
    world.consent(world.link())
    world.go_on()
    return Turned(world, pair)


def sealed_with(world: World, **parts: object) -> SealedManifest:
    """The world's manifest with other scopes, and with pictures."""
    sealed = world.sealed(**parts)  # type: ignore[arg-type]  parts of a manifest
    more = {"scopes": ("api:calls:read:basic", "api:users:read"), "logo_large": LARGE, "logo_small": SMALL}
    return sealed.model_copy(update=more)


# --- approval


def test_an_approver_sees_all_of_it(world: World, sit: Sit) -> None:
    """The kit, the digest whole, who asks whom since when, what happens if nobody acts; and both answers."""
    world.start(sealed=sealed_with(world))
    gate = world.waits()
    page = sit("bob").open(gate)
    words = words_of(page)
    assert gate.digest in words
    assert f"Approve {gate.digest[:12]}" in words
    for value in ("Calls in StackOne", "https://acme.example/privacy", "it@acme.example", "api:calls:read:basic"):
        assert value in words
    assert f"Gong {world.key}" in words
    assert "Requested by userpass-alice" in words
    assert "Asked of approver" in words
    assert "Approvals 0 of 1" in words
    assert "Reminders 2026-03-03 09:00 UTC 2026-03-05 09:00 UTC" in words
    assert "Others are told 2026-03-09 09:00 UTC Asked afresh 2026-03-20 09:00 UTC Nothing fails" in words
    assert {"approve", "reject"} <= forms_of(page).keys()
    assert 'data-copy="' not in page


@pytest.mark.parametrize(
    ("name", "groups", "why"),
    [
        ("bob", ("viewer",), "is in none of the groups approver"),
        ("alice", ("approver", "requester"), "started this attempt and cannot approve it"),
    ],
)
def test_whoever_may_not_answer_reads_why(world: World, sit: Sit, name: str, groups: tuple[str, ...], why: str) -> None:
    """They see what is asked, no form for an answer, and the reason."""
    gate = world.to_approval()
    page = sit(name, *groups).open(gate)
    assert "You cannot answer here" in words_of(page)
    assert why in words_of(page)
    assert forms_of(page).keys() == {"sign-out"}


def test_a_changed_manifest_is_shown_beside_the_one_before(world: World, sit: Sit) -> None:
    """Field by field; the question about the older one is void, and leads to the new one."""
    before = world.to_approval()
    world.start(sealed=world.sealed("New words"))
    gate, bob = world.waits(), sit("bob")
    words = words_of(bob.open(gate))
    assert f"Compared with what was asked about before Digest {before.digest[:12]}" in words
    assert "gong.description Calls in StackOne New words" in words
    old = bob.open(before)
    assert "This question is void" in words_of(old)
    assert "the manifest has changed" in words_of(old)
    assert f'href="/gates/{gate.id}"' in old
    assert forms_of(old).keys() == {"sign-out"}


def test_a_manifest_is_shown_beside_the_one_that_is_applied(world: World, sit: Sit) -> None:
    """What was onboarded counts, whatever else was asked about since."""
    world.completed()
    world.start(sealed=sealed_with(world))
    words = words_of(sit("bob").open(world.waits()))
    assert "Compared with what is applied now" in words
    assert "scopes api:users:read api:calls:read:basic api:users:read" in words


def test_what_was_decided(world: World, sit: Sit) -> None:
    """A closed gate says what was said by whom, how they were signed in, when and why, and has no form."""
    gate = world.to_approval()
    world.approve(note="Looks right")
    page = sit("alice", "viewer").open(gate)
    words = words_of(page)
    assert "This is answered 2026-03-02 09:00 UTC" in words
    assert "yes userpass-bob vault token (userpass), 2026-03-02 09:00 UTC Looks right" in words
    assert "What was asked" in words
    assert forms_of(page).keys() == {"sign-out"}


def test_a_question_that_nobody_answered_leads_to_its_successor(world: World, sit: Sit) -> None:
    """It says that it expired, and where it is asked afresh."""
    gate = world.to_approval()
    world.clock.move(days=40)
    world.ports.ledger.rearm(world.clock.now())
    page = sit("bob").open(gate)
    assert "Nobody answered in time" in words_of(page)
    assert f'href="/gates/{world.gate(GateKind.APPROVE).id}">Asked afresh' in page


def test_a_gate_that_is_answered_in_prefect(world: World, sit: Sit) -> None:
    """It leads to the run there, and has no form here."""
    world.start(sealed=world.sealed(approval={"channel": "prefect"}))
    page = sit("bob").open(world.waits())
    assert "This is answered in Prefect" in words_of(page)
    assert world.runs.url(world.run_id) in page
    assert forms_of(page).keys() == {"sign-out"}


def test_lint_is_told_to_whoever_approves(world: World, sit: Sit) -> None:
    """What lint noticed without refusing the manifest stands above the kit."""
    gate = world.to_approval()
    noticed = world.receipt(Stage.REGISTER).body["noticed"]
    assert isinstance(noticed, list)
    assert noticed
    words = words_of(sit("bob").open(gate))
    assert "Lint has noticed" in words
    assert all(line in words for line in noticed)


@pytest.mark.parametrize("gate_id", [uuid4(), "nonsense", "%00"])
def test_there_is_no_such_gate(sit: Sit, gate_id: object) -> None:
    """An id that nobody gave out, or that is none, is answered like any other page that is not there."""
    answer = sit("bob").browser.get(f"/gates/{gate_id}")
    assert answer.status_code == 404
    assert "does not exist" in answer.text


# --- the kit


def test_every_value_of_the_kit_can_be_copied(world: World, sit: Sit) -> None:
    """One button for each value, one for all values of a field that takes several, none for what is only a note."""
    world.start(sealed=sealed_with(world))
    world.waits()
    world.approve()
    gate = world.waits()
    page = sit("grace").open(gate)
    made = kit(world.ports.ledger.manifest(gate.digest), str(world.ports.settings.gong.admin_url))
    fields = [field for step in made.steps[:-1] for field in step.fields if not field.image]
    values = [value for field in fields for value in field.values]
    together = ["\n".join(field.values) for field in fields if len(field.values) > 1]
    assert len(together) == 1
    assert sorted(re.findall(r'data-copy="([^"]*)"', page)) == sorted([*values, *together])


def test_logos_can_be_downloaded(world: World, sit: Sit) -> None:
    """Both pictures come with the page, whole, under a name for each."""
    world.start(sealed=sealed_with(world))
    world.waits()
    world.approve()
    page = sit("grace").open(world.waits())
    for name, picture in (("logo-large.png", LARGE), ("logo-small.png", SMALL)):
        assert f'download="{name}" href="data:image/png;base64,{picture}"' in page


def test_every_step_has_a_drawing(world: World) -> None:
    """Of every kit there is, before and after the click; and each drawing says in words what it shows."""
    sealed, url = world.sealed(), "https://example.com/"
    turns = ({"grace_hours": 24}, {"grace_hours": 24, "clicked_since": ""})
    steps = [*kit(sealed, url).steps, *stackone_steps(sealed, url), *stackone_edit(sealed, "x", url)]
    steps += [step for question in turns for step in turn_kit(sealed, question, url).steps]
    assert {step.title for step in steps} == DRAWINGS.keys()
    for name in {*DRAWINGS.values(), "consent"}:
        drawn = environment().get_template(f"drawings/{name}.html").render()
        assert re.search(r'<svg [^>]*role="img" aria-label="[^"]{30,}"', drawn), name


def test_ticks_are_there_again(world: World, sit: Sit) -> None:
    """What somebody ticked off is ticked in another browser of theirs, for nobody else, and can be taken back."""
    gate, grace = world.to_intake(), sit("grace")
    page = grace.follow(grace.press(gate, "ticks"))
    assert ticked(page) == [1]
    assert ticked(sit("grace").open(gate)) == [1]
    assert ticked(sit("bob").open(gate)) == []
    assert grace.send(gate, "ticks", step="3", done="yes").headers["location"] == f"/gates/{gate.id}#step-3"
    assert ticked(grace.open(gate)) == [1, 3]
    grace.press(gate, "ticks")
    assert ticked(grace.open(gate)) == [3]


@pytest.mark.parametrize("step", ["0", "7", "99", "-1", "x", ""])
def test_only_steps_of_the_kit_can_be_ticked(world: World, sit: Sit, step: str) -> None:
    """Neither a number that the kit has not, nor the hand-over, which is done by being sent."""
    gate, grace = world.to_intake(), sit("grace")
    assert grace.send(gate, "ticks", step=step, done="yes").status_code == 400
    assert world.ports.visits.ticked(gate.id, grace.browser.person.id) == frozenset()


def ticked(page: str) -> list[int]:
    """The steps that a page shows as done."""
    return [int(number) for number in re.findall(r'<li class="card step done" id="step-(\d+)"', page)]


# --- the other kinds


def test_stackones_form(world: World, sit: Sit) -> None:
    """Field by field, with the button for the reveal; the pair itself is not there."""
    gate = world.to_form()
    page = sit("grace").open(gate)
    assert f'data-copy="Gong {world.key}"' in page
    assert "offers no way to create and update a Connector Profile" in words_of(page)
    assert "reveal" in forms_of(page)
    assert "reveal" not in forms_of(sit("bob").open(gate))


def test_consent(world: World, sit: Sit) -> None:
    """Whose account it is for, and what became of the newest link."""
    gate, grace = world.to_consent(), sit("grace")
    page = grace.open(gate)
    assert "Get an auth link" in words_of(page)
    assert f"Account of Acme {world.key.tenant}-1" in words_of(page)
    world.consent(world.link(), approve=False)
    world.go_on()
    assert "Consent was not given at the newest link (access_denied: Consent was denied)" in words_of(grace.open(gate))


def test_approving_a_rotation(turned: Turned, sit: Sit) -> None:
    """What would happen, step by step; a second one says what it kills."""
    turned.start()
    gate = turned.at(GateKind.APPROVE)
    page = sit("bob").open(gate)
    assert "ask one of gong_admin to rotate the secret in Gong with a grace of 168 hours" in words_of(page)
    assert "What else the digest covers" not in words_of(page)
    turned.world.approve()
    turned.run()
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "closed the window")
    second = words_of(sit("bob").open(turned.at(GateKind.APPROVE)))
    assert "Approve a second rotation" in second
    assert "KILLS THE SECRET IN USE AT ONCE" in second
    assert "Older secret works at least until" in second


def test_the_click(turned: Turned, sit: Sit) -> None:
    """The way to the button, the grace to choose, and the form for the new secret with what the click was."""
    gate, grace = turned.to_click(), sit("grace")
    page = grace.open(gate)
    assert "The click is the point of no return" in words_of(page)
    assert 'data-copy="168"' in page
    assert forms_of(page)["submit"].fields["grace_hours"] == "168"
    assert {"clicked_at", "utc_offset"} <= set(forms_of(page)["submit"].names)
    assert f"/integrations/{turned.world.key}/ask/lost" in page


def test_the_click_has_been(turned: Turned, sit: Sit) -> None:
    """After a wrong secret only the right one is asked for: nobody is told to click again."""
    turned.to_click()
    pair = turned.click()
    turned.world.twins.options(turned.world.twins.gong, token_error_body="text")  # says nothing of a wrong pair
    turned.submit(Pair(pair.integration, pair.client_id, "kt-wrong-secret-0123456789"))
    turned.world.twins.options(turned.world.twins.gong, token_error_body="oauth")
    page = sit("grace").open(turned.at(GateKind.GONG_ROTATION))
    words = words_of(page)
    assert "It was rotated in Gong already: do not rotate again" in words
    assert "The one before was of no use Gong does not accept this pair" in words
    assert "I confirm rotation" not in words
    assert "submit" in forms_of(page)


def test_stackones_form_of_a_rotation(turned: Turned, sit: Sit) -> None:
    """The profile that is there is edited, and no new one made: its accounts would be lost."""
    turned.stackone_is(write_api="off")
    turned.handed_in()
    words = words_of(sit("grace").open(turned.at(GateKind.STACKONE_FORM)))
    assert "Edit the Connector Profile" in words
    assert "make no new one" in words
    assert "+ Connector Profile" not in words
    assert "Older secret works at least until 2026-03-09" in words


def test_proof_and_grace(turned: Turned, sit: Sit) -> None:
    """What proves the new secret by itself and when, and how to prove it at once; then a clock that asks nobody."""
    turned.to_proof()
    gate, grace = turned.world.gate(GateKind.PROOF), sit("grace")
    page = grace.open(gate)
    assert "proves the new secret only from 2026-03-03 09:30 UTC on" in words_of(page)
    assert "keyturn canary" in words_of(page)
    assert {"link", "reject"} <= forms_of(page).keys()
    turned.world.consent(turned.world.link())
    clock = grace.open(turned.at(GateKind.GRACE))
    assert "Nobody is asked" in words_of(clock)
    assert "data-countdown" in clock
    assert forms_of(clock).keys() == {"sign-out"}


def test_a_page_needs_no_script(world: World, sit: Sit) -> None:
    """Nothing that the Content-Security-Policy forbids: no script, style or handler inside, nothing from outside."""
    page = sit("grace").open(world.to_intake())
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r'\s(?:style|on\w+)="', page) == []
    assert "<style" not in page
    assert re.findall(r'(?:src|href)="(?!/|#|data:image/|https://app\.gong\.io/)([^"]*)"', page) == []


def test_what_was_handed_over(world: World, sit: Sit) -> None:
    """The closed gate tells the version, and what Gong said of it; what is not proven is not green."""
    gate = world.to_intake()
    world.twins.options(world.twins.gong, token_error_body="text")
    world.submit(world.create_integration())
    page = sit("grace").open(gate)
    assert world.gates(GateKind.GONG_ADMIN)[0].state is GateState.APPROVED
    assert "Handed over version 1" in words_of(page)
    assert '<span class="badge warn">not proven</span>' in page
    assert "neither confirms nor denies" in words_of(page)
