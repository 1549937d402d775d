"""Answering a gate at the console: yes and no, a reveal, an auth link, and a whole journey by nothing but its forms."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.domain.verdict import Verdict
from keyturn.errors import GateClosedError, StageFailedError, UnavailableError, VendorRefusedError
from keyturn.ports import RunState
from keyturn.services import decide
from tests.console.conftest import Console
from tests.console.forms import forms_of, press, words_of
from tests.console.seats import Seat, Sit, sitting
from tests.services.rotation.turned import Turned
from tests.services.world import World


@pytest.fixture
def sit(world: World, console: Console) -> Sit:
    """Have people sit down in front of the console."""
    return sitting(world, console)


# --- yes and no


def test_approval(world: World, sit: Sit) -> None:
    """One press on what was read: it is recorded with note and name, the run goes on, and a reload repeats nothing."""
    gate, bob = world.to_approval(), sit("bob")
    answer = bob.press(gate, "approve", note="  Looks right\0 ")
    assert answer.headers["location"] == f"/gates/{gate.id}?said=approved"
    page = words_of(bob.follow(answer))
    assert "Approved, and the run goes on." in page
    decided = world.ports.ledger.gate(gate.id)
    assert decided.state is GateState.APPROVED
    assert [(d.person_name, d.note, d.digest) for d in decided.decisions] == [
        ("userpass-bob", "Looks right", gate.digest)
    ]
    assert world.run_state is RunState.MOVING


def test_approval_without_prefect(world: World, sit: Sit) -> None:
    """A decision counts although Prefect is away, and the page says when the run takes notice."""
    gate, bob = world.to_approval(), sit("bob")
    world.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    page = words_of(bob.follow(bob.press(gate, "approve")))
    assert "The run takes notice by itself" in page
    assert world.ports.ledger.gate(gate.id).state is GateState.APPROVED


def test_one_of_two_approvals(world: World, sit: Sit) -> None:
    """The first one counts and closes nothing; the same person has no second one."""
    world.start(sealed=world.sealed(approval={"approvals": 2}))
    gate, bob = world.waits(), sit("bob")
    page = bob.follow(bob.press(gate, "approve"))
    assert "Your approval counts" in words_of(page)
    assert "Approvals 1 of 2" in words_of(page)
    assert "has decided here already" in words_of(page)
    assert bob.send(gate, "approve", digest=gate.digest).status_code == 403
    assert world.ports.ledger.gate(gate.id).state is GateState.OPEN


def test_own_request(world: World, sit: Sit) -> None:
    """Whoever started it is refused on the same page, in words, with the focus on them; nothing is recorded."""
    gate, alice = world.to_approval(), sit("alice", "approver", "requester")
    answer = alice.send(gate, "approve", digest=gate.digest)
    assert answer.status_code == 403
    assert "userpass-alice started this attempt and cannot approve it." in words_of(answer.text)
    assert re.search(r'<div class="problem[^>]* role="alert" tabindex="-1" autofocus>', answer.text)
    assert world.ports.ledger.gate(gate.id).decisions == ()


def test_another_digest(world: World, sit: Sit) -> None:
    """A yes to anything but what is asked about does not count."""
    gate, bob = world.to_approval(), sit("bob")
    answer = bob.send(gate, "approve", digest="0" * 64)
    assert answer.status_code == 409
    assert "The manifest has changed since you read it" in words_of(answer.text)
    assert world.ports.ledger.gate(gate.id).decisions == ()


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_an_older_page(world: World, sit: Sit, action: str) -> None:
    """An answer to a question that was replaced is refused and leads to the new one, which it does not touch."""
    before, bob = world.to_approval(), sit("bob")
    read = bob.open(before)
    world.start(sealed=world.sealed("New words"))
    gate = world.waits()
    answer = bob.noted(press(bob.browser, read, action, **({} if action == "approve" else {"reason": "no"})))
    assert answer.status_code == 409
    assert "This is not being asked any more" in words_of(answer.text)
    assert f'href="/gates/{gate.id}"' in answer.text
    assert world.ports.ledger.gate(gate.id) == gate


def test_too_late(world: World, sit: Sit) -> None:
    """An answer after the question expired is not recorded; it is asked afresh, and the page leads there."""
    gate = world.to_approval()
    world.clock.move(days=40)
    answer = sit("bob").press(gate, "approve")
    assert answer.status_code == 409
    afresh = world.gate(GateKind.APPROVE)
    assert afresh.id != gate.id
    assert f'href="/gates/{afresh.id}"' in answer.text


def test_rejection(world: World, sit: Sit) -> None:
    """A no needs a reason, which whoever asked can read; the attempt ends."""
    gate, bob = world.to_approval(), sit("bob")
    empty = bob.press(gate, "reject", reason="  ")
    assert empty.status_code == 400
    assert "The reason is missing." in words_of(empty.text)
    assert "The reason is longer than 2000" in words_of(bob.press(gate, "reject", reason="x" * 2001).text)
    page = bob.follow(bob.press(gate, "reject", reason="Too many scopes"))
    assert "Rejected: the run has been told." in words_of(page)
    assert "Somebody said no" in words_of(sit("alice").open(gate))
    assert "Too many scopes" in words_of(sit("alice").open(gate))
    with world.refused(StageFailedError, "Too many scopes"):
        world.run()
    assert world.attempt.state is AttemptState.REJECTED


def test_declining_to_act(world: World, sit: Sit) -> None:
    """Whoever is to act in Gong can say no as well."""
    gate, grace = world.to_intake(), sit("grace")
    grace.follow(grace.press(gate, "reject", reason="Not our Gong"))
    assert world.ports.ledger.gate(gate.id).state is GateState.REJECTED


@pytest.mark.parametrize("action", ["approve", "reveal", "link"])
def test_an_answer_to_another_question(world: World, sit: Sit, action: str) -> None:
    """What is asked for the pair takes neither an approval nor makes it a reveal or a link."""
    gate = world.to_intake()
    answer = sit("grace").send(gate, action, digest=gate.digest)
    assert answer.status_code == 409
    assert "This gate asks for something else." in words_of(answer.text)
    assert world.ports.ledger.gate(gate.id) == gate


def test_a_no_is_for_the_question_that_was_seen(world: World) -> None:
    """Of two questions of an integration the service closes the one that is named, and none if that is gone."""
    gone, person = world.to_approval(), world.person("bob")
    world.start(sealed=world.sealed("New words"))
    gate, ledger = world.waits(), world.ports.ledger
    with world.refused(GateClosedError):
        decide.reject(ledger, world.runs, person, world.key, "no", gone.id)
    assert decide.reject(ledger, world.runs, person, world.key, "no", gate.id).gate.id == gate.id


# --- what is shown once


def token_on(page: str) -> str:
    """What a page shows once."""
    found = re.search(r'<p class="token">.*?<code>([^<]+)</code>', page)
    assert found
    return html.unescape(found[1])


def test_reveal(world: World, sit: Sit) -> None:
    """A token is shown once, opens the pair once, and who had it made is written down; the pair is on no page."""
    world.twins.options(world.twins.stackone, write_api="off")
    pair = world.handed_in()
    gate, grace = world.go_on(), sit("grace")
    assert isinstance(gate, Gate)
    answer = press(grace.browser, grace.open(gate), "reveal")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert pair.client_secret not in answer.text
    token = token_on(answer.text)
    world.secrets.append(token)
    assert "location" not in answer.headers
    with world.openbao.api(token) as vault:
        opened = vault.write("sys/wrapping/unwrap")["data"]["data"]
        assert opened == {"client_id": pair.client_id, "client_secret": pair.client_secret}
    with world.openbao.api(token) as vault, pytest.raises(VendorRefusedError):
        vault.write("sys/wrapping/unwrap")
    entry = next(e for e in world.trail if e.event == "credential.revealed")
    assert entry.actor == grace.browser.person.id
    assert str(entry.detail["accessor"]) in answer.text
    assert grace.noted(grace.browser.get(str(answer.url.path))).status_code == 405
    grace.open(gate)


@pytest.mark.parametrize("name", ["bob", "erin"])
def test_reveal_for_others(world: World, sit: Sit, name: str) -> None:
    """Whoever is not asked to fill in the form gets no token, and the page says why."""
    gate = world.to_form()
    answer = sit(name).send(gate, "reveal")
    assert answer.status_code == 403
    assert "is in none of the groups gong_admin, operator" in words_of(answer.text)
    assert "credential.revealed" not in world.events


def test_reveal_once_the_profile_is_there(world: World, sit: Sit) -> None:
    """When nobody is asked any more, nothing is revealed."""
    gate = world.to_form()
    world.fill_in_stackone()
    world.go_on()
    count = world.events.count("credential.revealed")
    assert sit("grace").send(gate, "reveal").status_code == 409
    assert world.events.count("credential.revealed") == count


def made_link(world: World, person: Seat, gate: Gate) -> str:
    """An auth link from a gate's page; it is nowhere but on the page that comes then."""
    answer = press(person.browser, person.open(gate), "link")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "location" not in answer.headers
    url = token_on(answer.text)
    world.secrets.append(httpx.URL(url).params["token"])
    assert f'href="{html.escape(url)}" rel="noreferrer noopener" target="_blank"' in answer.text
    return url


def test_link(world: World, sit: Sit) -> None:
    """A link is shown once, works, and is in no other answer; who made it is written down."""
    gate, grace = world.to_consent(), sit("grace")
    url = made_link(world, grace, gate)
    assert "The newest link has not led to an account yet" in words_of(grace.open(gate))
    assert world.twins.gong_admin.consent(url) == "authenticated"
    assert isinstance(world.go_on(), Verdict)
    assert next(e for e in world.trail if e.event == "link.made").actor == grace.browser.person.id
    assert "This is answered" in words_of(grace.open(gate))


def test_link_for_others(world: World, sit: Sit) -> None:
    """Whoever is not asked for consent gets no link, and StackOne is not asked for one."""
    gate = world.to_consent()
    assert sit("bob").send(gate, "link").status_code == 403
    assert "POST /connect_sessions" not in world.twins.calls(world.twins.stackone)


def test_link_while_stackone_is_away(world: World, sit: Sit) -> None:
    """A link that may have been made or not is not shown as anything else, and another one can be asked for."""
    gate, grace = world.to_consent(), sit("grace")
    world.twins.fault(world.twins.stackone, "POST /connect_sessions", "drop_after")
    answer = grace.press(gate, "link")
    assert answer.status_code == 504
    assert "No answer came, so it is not known whether this was done" in words_of(answer.text)
    assert "link" in forms_of(answer.text)


def test_proof_by_a_new_link(world: World, sit: Sit) -> None:
    """At the proof of a rotated secret the link is for the canary's account, and proves it."""
    pair = world.stored()
    world.go_on()
    world.consent(world.link())
    world.go_on()
    turned = Turned(world, pair)
    turned.to_proof()
    grace = sit("grace")
    world.twins.gong_admin.consent(made_link(world, grace, world.gate(GateKind.PROOF)))
    assert turned.at(GateKind.GRACE)
    assert world.receipt(Stage.VERIFY).body["by"] == "link"


# --- all of it


def test_a_journey_by_nothing_but_forms(world: World, sit: Sit) -> None:
    """Approval, hand-over, assisted profile and consent, each by its page; at the end the connection is proven."""
    world.twins.options(world.twins.stackone, write_api="off")
    bob, grace = sit("bob"), sit("grace")
    bob.follow(bob.press(world.to_approval(), "approve"))
    intake, pair = world.waits(), world.create_integration()
    handed = grace.press(intake, "submit", client_id=pair.client_id, client_secret=pair.client_secret)
    assert "Your hand-over is in Vault" in words_of(grace.follow(handed))
    form = world.waits()
    token = token_on(press(grace.browser, grace.open(form), "reveal").text)
    world.secrets.append(token)
    with world.openbao.api(token) as vault:
        opened = vault.write("sys/wrapping/unwrap")["data"]["data"]
    create = world.twins.stackone_admin.create_profile
    create(world.profile_name, opened["client_id"], opened["client_secret"], ["api:users:read"])
    consent = world.waits()
    assert world.twins.gong_admin.consent(made_link(world, grace, consent)) == "authenticated"
    assert world.ends().proven
    assert world.attempt.state is AttemptState.COMPLETED
    assert [g.state for g in world.ports.ledger.gates(key=world.key, only_open=False)] == [GateState.APPROVED] * 4


def test_roles_are_not_enough(world: World, sit: Sit) -> None:
    """A gate asks the groups of its manifest: an approver is refused where the manifest wants another group."""
    world.start(sealed=world.sealed(approval={"groups": ("security",)}))
    gate = world.waits()
    assert sit("bob").send(gate, "approve", digest=gate.digest).status_code == 403
    assert sit("bob", "security").press(gate, "approve").status_code == 303


def test_a_vendor_that_refuses(world: World, sit: Sit) -> None:
    """What StackOne says no to is told on the page as what it is."""
    gate, grace = world.to_consent(), sit("grace")
    world.twins.fault(world.twins.stackone, "POST /connect_sessions", "status", status=403)
    answer = grace.press(gate, "link")
    assert answer.status_code == 502
    assert VendorRefusedError.__name__ not in answer.text
    assert "StackOne" in words_of(answer.text)
