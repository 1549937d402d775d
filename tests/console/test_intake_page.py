"""Handing a secret over at the console: what is taken, what is refused in which words, and that it is shown nowhere.

Every answer of a test is searched for its secrets when it is over (`tests.console.seats`).
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from keyturn.console.limits import HAND_INS
from keyturn.console.small_body import LIMIT
from keyturn.domain.attempt import Terms
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.sandbox.people import Pair
from tests.console.conftest import Console
from tests.console.forms import forms_of, press, words_of
from tests.console.seats import Seat, Sit, sitting
from tests.services.rotation.turned import Turned
from tests.services.search import CANARY
from tests.services.world import World

WRONG = "kt-wrong-secret-0123456789"


@pytest.fixture
def sit(world: World, console: Console) -> Sit:
    """Have people sit down in front of the console."""
    return sitting(world, console)


@pytest.fixture
def grace(sit: Sit) -> Seat:
    """Gong's admin."""
    return sit("grace")


@pytest.fixture
def turned(world: World) -> Turned:
    """An onboarded integration."""
    pair = world.stored()
    world.go_on()
    world.consent(world.link())
    world.go_on()
    return Turned(world, pair)


def hand_in(person: Seat, gate: Gate, client_id: str, client_secret: str, **more: str) -> httpx.Response:
    """Fill in the form for the pair, and send it."""
    return person.press(gate, "submit", client_id=client_id, client_secret=client_secret, **more)


def wrapped(world: World, **data: str) -> str:
    """Have Vault wrap something for a minute."""
    with world.openbao.api() as api:
        answer = api.call("POST", "sys/wrapping/wrap", data, {"X-Vault-Wrap-TTL": "60"})
    token = str(answer["wrap_info"]["token"])
    world.secrets.append(token)
    return token


def wrapped_pair(world: World) -> str:
    """A wrapping token that holds a right pair."""
    pair = world.create_integration()
    return wrapped(world, client_id=pair.client_id, client_secret=pair.client_secret)


def was_refused(world: World, gate: Gate) -> bool:
    """Whether nothing was kept, and the question stands as it did."""
    return world.versions() == 0 and world.ports.ledger.gate(gate.id) == gate


def field_of(page: str, name: str) -> str:
    """What a field of the form for the pair is filled in with."""
    return forms_of(page)["submit"].fields[name]


# --- pairs


def test_a_right_pair(world: World, grace: Seat) -> None:
    """It is in Vault, the run goes on, the page says what Gong said of it, and a reload sends nothing again."""
    gate, pair = world.to_intake(), world.create_integration()
    answer = hand_in(grace, gate, pair.client_id, pair.client_secret)
    assert answer.headers["location"] == f"/gates/{gate.id}?said=taken"
    page = grace.follow(answer)
    assert "Your hand-over is in Vault, and the run goes on." in words_of(page)
    assert "Handed over version 1" in words_of(page)
    assert '<span class="badge good">valid</span>' in page
    with world.openbao.api() as vault:
        kept = vault.read(f"keyturn/data/{world.key}/client")["data"]["data"]
    assert kept == {"client_id": pair.client_id, "client_secret": pair.client_secret}


def test_a_wrong_pair(world: World, grace: Seat) -> None:
    """Gong's no is told on the same page at once, in words that say what to do; both fields are empty again."""
    gate, pair = world.to_intake(), world.create_integration()
    world.secrets.append(WRONG)
    answer = hand_in(grace, gate, pair.client_id, WRONG)
    assert (answer.status_code, answer.headers["cache-control"]) == (422, "no-store")
    words = words_of(answer.text)
    assert "The pair was refused, and nothing of it was kept Gong does not accept this pair." in words
    assert "Copy both again from Gong's table" in words
    assert (field_of(answer.text, "client_id"), field_of(answer.text, "client_secret")) == ("", "")
    assert 'aria-describedby="problem secret-hint" aria-invalid="true"' in answer.text
    assert was_refused(world, gate)
    typed = {"client_id": pair.client_id, "client_secret": pair.client_secret}
    again = grace.noted(press(grace.browser, answer.text, "submit", **typed))
    assert again.status_code == 303


@pytest.mark.parametrize(
    ("client_id", "client_secret", "says"),
    [
        ("{id}", "{secret} ", "The Client Secret contains white space, perhaps from copying."),
        ("{id}\n", "{secret}", "The Client ID contains white space, perhaps from copying."),
        ("{id}", "", "The Client Secret is empty."),
        ("", "", "The Client ID is empty. The Client Secret is empty."),
        ("{id}", "{id}", "Client ID and Client Secret are the same text."),
        ("{id}:1", "{secret}", "The Client ID contains a colon, which HTTP Basic authentication cannot carry."),
        ("{id}", "•" * 24, "The Client Secret contains characters that no generated value has."),
    ],
)
def test_lint(world: World, grace: Seat, client_id: str, client_secret: str, says: str) -> None:
    """What cannot be right by the look of it is refused before Gong is asked, a sentence for each fault."""
    gate, pair = world.to_intake(), world.create_integration()
    typed = [text.format(id=pair.client_id, secret=pair.client_secret) for text in (client_id, client_secret)]
    answer = hand_in(grace, gate, *typed)
    assert answer.status_code == 422
    assert says in words_of(answer.text)
    assert "POST /oauth2/generate-customer-token" not in world.twins.calls(world.twins.gong)
    assert was_refused(world, gate)


@pytest.mark.parametrize("short", [True, False])
def test_swapped(world: World, grace: Seat, short: bool) -> None:  # noqa: FBT001  a case
    """Lint sees that id and secret are swapped where the id is short; otherwise it is Gong that says no."""
    gate, pair = world.to_intake(), world.create_integration()
    answer = hand_in(grace, gate, pair.client_secret, pair.client_id[:12] if short else pair.client_id)
    assert answer.status_code == 422
    assert ("look swapped" in words_of(answer.text)) is short
    assert was_refused(world, gate)


def test_not_proven(world: World, grace: Seat) -> None:
    """What Gong does not answer clearly is taken, and never shown in green."""
    gate = world.to_intake()
    world.twins.options(world.twins.gong, token_error_body="text")
    pair = world.create_integration()
    page = grace.follow(hand_in(grace, gate, pair.client_id, pair.client_secret))
    assert '<span class="badge warn">not proven</span>' in page
    assert "neither confirms nor denies" in words_of(page)


@pytest.mark.parametrize("what", ["pair", "token"])
@pytest.mark.parametrize("field", ["client_id", "client_secret", "token", "clicked_at", "grace_hours", "utc_offset"])
def test_a_secret_in_any_field_is_shown_in_none(turned: Turned, grace: Seat, field: str, what: str) -> None:
    """Whatever was typed where: nothing of a form that was refused is in the answer, nor in what is seen later."""
    gate, typed = turned.to_click(), "7x" + "Zq4-kept-by-nobody" * 2
    fields = {"client_id": "another-id-0123", "client_secret": "another-secret-0123", "token": "another-token-0123"}
    answer = grace.press(gate, "submit", what=what, **fields | {field: typed})
    assert 400 <= answer.status_code < 500
    shown = [answer.text, str(answer.headers), grace.open(gate)]
    assert not [text for text in shown for value in (typed, *fields.values()) if value in text]


def test_a_file_is_no_secret(world: World, grace: Seat) -> None:
    """A form that carries a file where a text is expected hands in nothing."""
    gate, pair = world.to_intake(), world.create_integration()
    files = {"client_secret": ("secret.txt", pair.client_secret.encode())}
    data = {"csrf": grace.browser.csrf(), "client_id": pair.client_id}
    answer = grace.noted(grace.browser.client.post(f"/gates/{gate.id}/submit", data=data, files=files))
    assert answer.status_code == 422
    assert "The Client Secret is empty." in words_of(answer.text)
    assert was_refused(world, gate)


@pytest.mark.parametrize("name", ["bob", "alice"])
def test_by_somebody_else(world: World, sit: Sit, name: str) -> None:
    """Whoever is in another group has no form, and is refused if they send one all the same."""
    gate, pair = world.to_intake(), world.create_integration()
    person = sit(name)
    assert "submit" not in forms_of(person.open(gate))
    answer = person.send(gate, "submit", client_id=pair.client_id, client_secret=pair.client_secret)
    assert answer.status_code == 403
    assert "is in none of the groups gong_admin" in words_of(answer.text)
    assert was_refused(world, gate)


def test_a_second_time(world: World, grace: Seat) -> None:
    """Once a secret is handed in, the older page hands in no other; it says so, and nothing is kept."""
    gate, pair = world.to_intake(), world.create_integration()
    older = grace.open(gate)
    grace.follow(hand_in(grace, gate, pair.client_id, pair.client_secret))
    typed = {"client_id": pair.client_id, "client_secret": WRONG}
    answer = grace.noted(press(grace.browser, older, "submit", **typed))
    assert answer.status_code == 409
    assert "This is not being asked any more This gate is approved." in words_of(answer.text)
    assert world.versions() == 1


def test_nothing_is_handed_in_where_nothing_is_asked(world: World, grace: Seat) -> None:
    """A gate that asks for an approval takes no secret."""
    gate, pair = world.to_approval(), world.create_integration()
    answer = grace.send(gate, "submit", client_id=pair.client_id, client_secret=pair.client_secret)
    assert answer.status_code == 409
    assert was_refused(world, gate)


# --- wrapping tokens


def test_a_wrapping_token(world: World, grace: Seat) -> None:
    """It is taken instead of the pair, also with a line's end from copying."""
    gate = world.to_intake()
    answer = grace.press(gate, "submit", what="token", token=f"{wrapped_pair(world)}\n")
    assert "Handed over version 1" in words_of(grace.follow(answer))
    assert world.ports.ledger.gate(gate.id).state is GateState.APPROVED


def test_a_used_wrapping_token(world: World, grace: Seat) -> None:
    """Somebody opened it before: the page calls that an alert, and it is in the audit trail."""
    gate, token = world.to_intake(), wrapped_pair(world)
    with world.openbao.api(token) as thief:
        assert thief.write("sys/wrapping/unwrap")["data"]["client_secret"] == CANARY
    answer = grace.press(gate, "submit", what="token", token=token)
    assert answer.status_code == 422
    words = words_of(answer.text)
    assert "Take this as an alert: the wrapping token had been used before" in words
    assert "rotate the secret in Gong" in words
    assert field_of(answer.text, "what") == "token"
    assert next(e for e in world.trail if e.event == "alert.wrapping_token_used").actor == grace.browser.person.id
    assert was_refused(world, gate)


def test_a_wrapped_pair_that_is_wrong(world: World, grace: Seat) -> None:
    """The token is used up by then, and the page says so."""
    gate, pair = world.to_intake(), world.create_integration()
    token = wrapped(world, client_id=pair.client_id, client_secret=WRONG)
    answer = grace.press(gate, "submit", what="token", token=token)
    assert answer.status_code == 422
    assert "The wrapping token is used up: wrap the right pair in a new one." in words_of(answer.text)
    assert was_refused(world, gate)


def test_no_wrapping_token(world: World, grace: Seat) -> None:
    """An empty one is not called used up."""
    gate = world.to_intake()
    answer = grace.press(gate, "submit", what="token")
    assert answer.status_code == 422
    assert "Wrapping token is empty." in words_of(answer.text)
    assert "used up" not in words_of(answer.text)


# --- limits


def test_a_body_that_is_too_large(world: World, grace: Seat) -> None:
    """More than 64 kB are refused before they are parsed, whatever their headers say; what fits is linted."""
    gate, csrf = world.to_intake(), grace.browser.csrf()
    begin = f"csrf={csrf}&client_id=x&client_secret=".encode()

    def sent(size: int) -> httpx.Response:
        def chunks() -> Iterator[bytes]:
            yield begin
            yield from (b"s" * 1024 for _ in range(size // 1024))

        headers = {"content-type": "application/x-www-form-urlencoded"}
        client = grace.browser.client
        return grace.noted(client.post(f"/gates/{gate.id}/submit", content=chunks(), headers=headers))

    assert sent(LIMIT).status_code == 413
    small = sent(LIMIT - 2048)
    assert small.status_code == 422
    assert "longer than 4096 characters" in words_of(small.text)
    assert was_refused(world, gate)


def test_too_many_tries(world: World, grace: Seat, sit: Sit) -> None:
    """After 20 tries in ten minutes nothing is read any more, for that person; ten minutes later it is again."""
    gate, csrf = world.to_intake(), grace.browser.csrf()
    typed = {"client_id": "id", "client_secret": ""}
    statuses = [grace.send(gate, "submit", csrf=csrf, **typed).status_code for _ in range(HAND_INS + 1)]
    assert statuses == [422] * HAND_INS + [429]
    refused = grace.send(gate, "submit", **typed)
    assert "You have handed something in more than 20 times within 10 minutes." in words_of(refused.text)
    assert sit("bob", "gong_admin").send(gate, "submit", **typed).status_code == 422
    world.clock.move(minutes=10)
    assert grace.send(gate, "submit", **typed).status_code == 422


# --- rotations


def handed(world: World) -> dict[str, object]:
    """What a rotation's gate keeps of the hand-over."""
    return dict(world.gates(GateKind.GONG_ROTATION)[-1].answer)


@pytest.mark.parametrize(
    ("typed", "offset", "moment"),
    [
        ("2026-03-02T10:01", "60", "2026-03-02T10:01:00+01:00"),
        ("2026-03-02T04:00", "-300", "2026-03-02T04:00:00-05:00"),
        ("2026-03-02T09:01", "", "2026-03-02T09:01:00+00:00"),
        ("2026-03-02T09:01", "999999999999999999999", "2026-03-02T09:01:00+00:00"),
        ("", "60", ""),
    ],
)
def test_when_the_click_was(turned: Turned, grace: Seat, typed: str, offset: str, moment: str) -> None:
    """As the person's own clock showed it; where no script says how far that is from UTC, it is taken as UTC."""
    gate, pair = turned.to_click(), turned.click(100)
    more = {"clicked_at": typed, "utc_offset": offset, "grace_hours": "100"}
    page = grace.follow(hand_in(grace, gate, pair.client_id, pair.client_secret, **more))
    assert (handed(turned.world)["clicked_at"], handed(turned.world)["grace_hours"]) == (moment, 100)
    assert "Grace chosen 100 hours" in words_of(page)


@pytest.mark.parametrize(
    ("clicked_at", "grace_hours", "status", "says"),
    [
        ("yesterday", "24", 400, "The moment of the click is no date and time."),
        ("2026-03-02T08:30", "long", 400, "The grace is no number of hours."),
        ("2026-03-02T08:30", "169", 409, "Gong offers a grace of 0 to 168 hours."),
        ("2026-03-02T19:30", "24", 409, "which is still to come."),
        ("2025-03-02T09:00", "24", 409, "and nobody was to click by then."),
        ("0001-01-01T00:00", "24", 409, "and nobody was to click by then."),
    ],
)
def test_what_cannot_be_of_the_click(
    turned: Turned, grace: Seat, clicked_at: str, grace_hours: str, status: int, says: str
) -> None:
    """It is refused before the secret is looked at, and says why."""
    gate, pair = turned.to_click(), turned.click()
    more = {"clicked_at": clicked_at, "grace_hours": grace_hours}
    answer = hand_in(grace, gate, pair.client_id, pair.client_secret, **more)
    assert answer.status_code == status
    assert says in words_of(answer.text)
    assert turned.world.versions() == 1


def test_the_secret_that_is_in_use(turned: Turned, grace: Seat) -> None:
    """Whoever hands in the older secret by mistake is told so."""
    gate, pair = turned.to_click(), turned.pair
    turned.click()
    answer = hand_in(grace, gate, pair.client_id, pair.client_secret)
    assert answer.status_code == 422
    assert "This is the secret that is in use already, not the new one." in words_of(answer.text)


def test_a_compromised_secret_takes_two_people(turned: Turned, sit: Sit) -> None:
    """Nobody approves it, so whoever started it cannot hand the new one in as well."""
    gate = turned.to_click(Terms(compromised=True))
    pair: Pair = turned.click(0)
    alice = sit("alice", "gong_admin", "operator")
    assert "cannot finish it" in words_of(alice.open(gate))
    typed = {"client_id": pair.client_id, "client_secret": pair.client_secret}
    assert alice.send(gate, "submit", **typed).status_code == 403
    assert sit("grace").send(gate, "submit", **typed).status_code == 303
