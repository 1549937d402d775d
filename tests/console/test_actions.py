from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyturn.domain.attempt import AttemptState, Halt, Stage, Wish
from keyturn.domain.health import Cause
from keyturn.errors import UnavailableError
from keyturn.ports import RunState
from tests.console.conftest import Browser, Console
from tests.console.folder import filed
from tests.services.rotation.turned import Turned
from tests.services.search import found
from tests.services.world import World


def ask(browser: Browser, world: World, action: str) -> str:
    """What an action says before it is done."""
    answer = browser.get(f"/integrations/{world.key}/ask/{action}")
    assert answer.status_code == 200, answer.text
    assert found(world.secrets, [answer.text]) == []
    return unescape(answer.text)


def press(browser: Browser, world: World, action: str, **fields: Any) -> httpx.Response:
    """Send the form of an action as its page has it, with these fields filled in."""
    page = browser.get(f"/integrations/{world.key}/ask/{action}").text
    form = re.search(rf'<form method="post" action="/integrations/{world.key}/{action}".*?</form>', page, re.DOTALL)
    assert form, page
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))
    return send(browser, world, action, hidden | fields)


def send(browser: Browser, world: World, action: str, fields: dict[str, Any]) -> httpx.Response:
    """Send a form without having looked at it."""
    given = {"csrf": csrf(browser, world)} | fields
    return browser.client.post(f"/integrations/{world.key}/{action}", data=given, follow_redirects=False)


def csrf(browser: Browser, world: World) -> str:
    """What the forms of this session carry."""
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get(f"/integrations/{world.key}").text)
    assert token
    return token[1]


def said(browser: Browser, world: World, answer: httpx.Response) -> str:
    """The sentence on the page that an action leads back to."""
    assert answer.status_code == 303, unescape(answer.text)
    assert answer.headers["location"].startswith(f"/integrations/{world.key}?said=")
    page = browser.get(answer.headers["location"]).text
    sentence = re.search(r'role="status">([^<]+)</p>', page)
    assert sentence
    return sentence[1]


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    """A page that says in words why not, and what to do."""
    assert answer.status_code == status, answer.text
    for word in words:
        assert word in unescape(answer.text)


@pytest.fixture
def filing(new_world: Callable[..., World], tmp_path: Path) -> World:
    """A world whose manifest lies in the folder."""
    world = new_world(MANIFESTS=str(tmp_path))
    filed(tmp_path, world.sealed())
    return world


@pytest.fixture
def turned(world: World) -> Turned:
    """An onboarded integration."""
    pair = world.stored()
    world.go_on()
    world.consent(world.link())
    world.go_on()
    return Turned(world, pair)


def test_an_onboarding_says_what_it_is_about_and_begins(
    filing: World, new_console: Callable[[World], Console], tmp_path: Path
) -> None:
    """The digest, what is there, and every step come first; then the attempt is open in the person's name."""
    console = new_console(filing)
    rita = console.browser("rita", "requester")
    sealed = filed(tmp_path, filing.sealed())
    page = ask(rita, filing, "onboard")
    for shown in (sealed.digest[:12], "everything is new", "never onboarded", "wait for 1 approval(s) by approver"):
        assert shown in page
    assert "has begun" in said(rita, filing, press(rita, filing, "onboard"))
    assert (filing.attempt.digest, filing.attempt.requester) == (sealed.digest, rita.person.id)
    assert "under way already" in said(rita, filing, press(rita, filing, "onboard"))
    assert len(filing.ports.ledger.attempts(filing.key)) == 1


def test_a_manifest_that_changed_meanwhile_is_not_onboarded(
    filing: World, new_console: Callable[[World], Console], tmp_path: Path
) -> None:
    """What is onboarded is the digest that the person has seen, or nothing."""
    rita = new_console(filing).browser("rita", "requester")
    token = csrf(rita, filing)
    seen = filed(tmp_path, filing.sealed()).digest
    changed = filed(tmp_path, filing.sealed("Another description")).digest
    refused(send(rita, filing, "onboard", {"csrf": token, "digest": seen}), 409, "has changed", changed[:12])
    refused(send(rita, filing, "onboard", {"csrf": token}), 409, "has changed")
    assert filing.ports.ledger.attempts(filing.key) == []
    said(rita, filing, press(rita, filing, "onboard"))
    filed(tmp_path, filing.sealed("A third one"))
    assert "new manifest" in said(rita, filing, press(rita, filing, "onboard"))


def test_a_faulty_manifest_is_refused_in_words(
    filing: World, new_console: Callable[[World], Console], tmp_path: Path
) -> None:
    """Before anything is asked, the page names the manifest's faults and what to do."""
    body = (tmp_path / "ours.yaml").read_text()
    (tmp_path / "ours.yaml").write_text(body.replace("api:users:read", "api:calls:read:basic"))
    answer = new_console(filing).browser("rita", "requester").get(f"/integrations/{filing.key}/ask/onboard")
    refused(answer, 400, "api:users:read is missing", "keyturn lint")


def test_a_lost_run_is_started_again(filing: World, new_console: Callable[[World], Console]) -> None:
    """Going on with an onboarding whose worker died starts another run if the person says so."""
    rita = new_console(filing).browser("rita", "requester")
    press(rita, filing, "onboard")
    first = filing.run_id
    filing.run_is(RunState.RUNNING)
    assert "Start another run" in ask(rita, filing, "onboard")
    assert "new run" in said(rita, filing, press(rita, filing, "onboard", restart="on"))
    assert filing.run_id != first


def test_stackone_away_leaves_the_onboarding_possible(filing: World, new_console: Callable[[World], Console]) -> None:
    """What could not be looked up says that it is unknown; the form is there all the same."""
    filing.twins.fault(filing.twins.stackone, "GET /connector_profiles", "status", status=503, count=50)
    rita = new_console(filing).browser("rita", "requester")
    assert "unknown:" in ask(rita, filing, "onboard")
    assert "has begun" in said(rita, filing, press(rita, filing, "onboard"))


def test_a_check_is_done_at_once(turned: Turned, console: Console) -> None:
    """The button looks at everything, keeps it, and says what came of it; a second bad look raises the cause."""
    world = turned.world
    anna = console.browser("anna", "approver")
    assert "Nothing is changed" in ask(anna, world, "check")
    world.twins.account_is(str(world.receipt(Stage.LINK_ACCOUNT).body["account_id"]), "error")
    assert "not as it should be" in said(anna, world, press(anna, world, "check"))
    assert world.ports.observatory.health(world.key).raised == ()
    world.clock.move(minutes=15)
    press(console.browser("anna", "approver"), world, "check")
    assert Cause.CONSENT_LOST in {c.cause for c in world.ports.observatory.health(world.key).raised}


def test_checks_are_limited(turned: Turned, console: Console) -> None:
    """More than six checks of one integration within a minute are refused, whoever asks: vendors count them."""
    world = turned.world
    two = [console.browser(name, "approver") for name in ("anna", "bob")]
    answers = [press(two[n % 2], world, "check") for n in range(7)]
    assert [a.status_code for a in answers] == [303] * 6 + [429]
    refused(answers[-1], 429, "Wait a minute")
    assert answers[-1].headers["retry-after"] == "60"


def test_nothing_to_check_is_said(world: World, console: Console) -> None:
    """An integration that was never onboarded to its end has nothing to look at."""
    world.to_approval()
    anna = console.browser("anna", "approver")
    refused(send(anna, world, "check", {}), 409, "never onboarded to its end")
    refused(anna.get(f"/integrations/{world.key}/ask/check"), 409, "nothing to check now")


def test_a_rotation_says_what_it_would_do_and_begins(turned: Turned, console: Console) -> None:
    """The steps are those of the service; then the rotation is under way in the person's name."""
    world = turned.world
    rita = console.browser("rita", "requester")
    page = ask(rita, world, "rotate")
    assert "point of no return" in page
    assert "ask 1 of approver to approve" in page
    assert "compromised" not in page
    assert "has begun" in said(rita, world, press(rita, world, "rotate"))
    assert (turned.attempt.kind.value, turned.attempt.requester) == ("rotation", rita.person.id)
    assert turned.attempt.terms.compromised is False
    refused(rita.get(f"/integrations/{world.key}/ask/rotate"), 409, "nothing to rotate now")


def test_a_compromised_secret_takes_an_operator_and_a_tick(turned: Turned, console: Console) -> None:
    """The shortest path warns in red, needs an extra tick, and is refused to a requester in words."""
    world = turned.world
    olga, rita = console.browser("olga", "operator"), console.browser("rita", "requester")
    page = unescape(olga.get(f"/integrations/{world.key}/ask/rotate?compromised=on").text)
    assert 'class="notice bad" role="alert"' in page
    assert "THIS WILL BREAK" in page
    assert 'name="understood" required' in page
    assert "THIS WILL BREAK" not in rita.get(f"/integrations/{world.key}/ask/rotate?compromised=on").text
    refused(send(olga, world, "rotate", {"compromised": "on"}), 400, "not ticked")
    refused(send(rita, world, "rotate", {"compromised": "on", "understood": "on"}), 403, "rita is no operator")
    assert turned.attempt.state is AttemptState.COMPLETED
    said(olga, world, send(olga, world, "rotate", {"compromised": "on", "understood": "on"}))
    assert turned.attempt.terms.compromised


def test_a_closed_window_is_said_and_can_be_ignored(world: World, console: Console) -> None:
    """Outside the window the page says so; without the tick the service refuses, with it the rotation begins."""
    window = {"days": ["sun"], "from": "01:00", "until": "02:00", "timezone": "UTC"}
    sealed = world.sealed(rotation={"window": window})
    world.start(sealed=sealed)
    world.waits()
    world.approve()
    world.go_on()
    pair = world.create_integration()
    world.submit(pair)
    world.go_on()
    world.consent(world.link())
    world.go_on()
    rita = console.browser("rita", "requester")
    page = ask(rita, world, "rotate")
    assert "outside the window: sun, 01:00 to 02:00 UTC" in page
    refused(press(rita, world, "rotate"), 409, "window is closed", "it opens at 2026-03-08 01:00 UTC")
    said(rita, world, press(rita, world, "rotate", ignore_window="on"))
    assert world.attempt.terms.ignore_window


def test_a_rotation_is_rolled_back_resumed_and_abandoned(turned: Turned, console: Console) -> None:
    """An operator does each from its page, with a reason that is kept; each says before what it is about to do."""
    world = turned.world
    turned.to_proof()
    olga = console.browser("olga", "operator")
    assert "(version 1, " in ask(olga, world, "rollback")
    assert "put back" in said(olga, world, press(olga, world, "rollback", reason="calls  fail\nsince"))
    assert turned.attempt.wish is Wish.ROLL_BACK
    assert world.trail[-1].detail["reason"] == "calls fail since"
    assert world.trail[-1].actor == olga.person.id
    turned.run()
    assert "It is halted (rolled back)" in ask(olga, world, "resume")
    assert "goes on" in said(olga, world, press(olga, world, "resume", reason="try again"))
    assert turned.attempt.halt is Halt.NONE
    assert "dies when its grace ends" in ask(olga, world, "abandon")
    assert "has ended" in said(olga, world, press(olga, world, "abandon", reason="enough"))
    assert (turned.attempt.state, turned.attempt.reason) == (AttemptState.ABANDONED, "enough")
    refused(send(olga, world, "abandon", {"reason": "again"}), 409, "has no active attempt")


def test_a_lost_secret_is_said(turned: Turned, console: Console) -> None:
    """Gong's admin says that it is lost; the page warned that a second click kills the secret in use."""
    world = turned.world
    turned.to_click()
    grace = console.browser("grace", "gong_admin")
    assert "no way back" in ask(grace, world, "lost")
    assert "second rotation" in said(grace, world, press(grace, world, "lost", reason="the tab was closed"))
    assert turned.attempt.wish is Wish.LOST_SECRET


def test_too_late_is_too_late(turned: Turned, console: Console) -> None:
    """Once the grace is over, rolling back is refused by the service in words, button or no button."""
    world = turned.world
    turned.to_proof()
    turned.pass_time(days=8)
    olga = console.browser("olga", "operator")
    refused(send(olga, world, "rollback", {"reason": "late"}), 409, "has been dead since")


def test_an_attempt_is_abandoned_by_its_requester_only(world: World, console: Console) -> None:
    """Somebody else's attempt is refused to a requester, with who to ask; one's own ends."""
    world.to_approval()
    rita = console.browser("rita", "requester")
    refused(send(rita, world, "abandon", {"reason": "mine?"}), 403, "neither started this attempt", "Ask whoever")
    alice = console.of(replace(world.person("alice"), groups=frozenset({"requester"})))
    said(alice, world, press(alice, world, "abandon", reason="wrong tenant"))
    assert world.attempt.state is AttemptState.ABANDONED


@pytest.mark.parametrize("reason", ["", " \n\t ", "x" * 1001, "\0\x1b"])
def test_a_reason_is_needed(world: World, console: Console, reason: str) -> None:
    """Without words, or with too many, nothing happens."""
    world.to_approval()
    olga = console.browser("olga", "operator")
    refused(send(olga, world, "abandon", {"reason": reason}), 400, "reason")
    assert world.attempt.state is AttemptState.ACTIVE


def test_what_the_fence_does_not_allow_is_not_even_asked(world: World, console: Console) -> None:
    """The question before an action is for those who may do it; an unknown action is no page."""
    world.to_approval()
    anna = console.browser("anna", "approver")
    refused(anna.get(f"/integrations/{world.key}/ask/abandon"), 403, "may not do this")
    refused(console.browser("vic", "viewer").get(f"/integrations/{world.key}/ask/check"), 403, "may not do this")
    assert console.browser("olga", "operator").get(f"/integrations/{world.key}/ask/destroy").status_code == 404


def test_prefect_away_is_said(filing: World, new_console: Callable[[World], Console]) -> None:
    """A run that cannot be started is said in words; the attempt is open, and the next try goes on with it."""
    rita = new_console(filing).browser("rita", "requester")
    filing.runs.failures.append(UnavailableError("Prefect", "cannot be reached", "Start the server."))
    answer = press(rita, filing, "onboard")
    refused(answer, 503, "cannot be reached", "Start the server.")
    assert filing.attempt.flow_run_id is None
    assert "new run" in said(rita, filing, press(rita, filing, "onboard"))
    assert filing.attempt.flow_run_id
