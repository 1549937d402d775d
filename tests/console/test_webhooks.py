"""StackOne's webhooks at the door: whose they are is settled before anything is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from keyturn.console.webhooks import LARGEST
from keyturn.domain.gate import GateKind
from keyturn.sandbox.twins.stackone.webhooks import sign
from tests.console.conftest import Console
from tests.services.world import World

PATH = "/webhooks/stackone"
SECRET, NEXT, OTHER = "whsec-canary-of-the-first", "whsec-canary-of-the-second", "whsec-of-another-project"
FIRST = {"CONSOLE__WEBHOOK_SECRET": SECRET}
BOTH = FIRST | {"CONSOLE__WEBHOOK_SECRET_NEXT": NEXT}


@pytest.fixture
def made(
    new_world: Callable[..., World], new_console: Callable[[World], Console]
) -> Callable[..., tuple[World, Console]]:
    """Make a console under settings changed as told, and its integration's world."""

    def make(**changes: str) -> tuple[World, Console]:
        world = new_world(**changes)
        world.secrets += [SECRET, NEXT]  # they are nowhere afterwards: not in the ledger, a log or an answer
        return world, new_console(world)

    return make


def payload(world: World, **changes: Any) -> bytes:
    """An event about an account of the world's origin owner; fields that are `...` are left out."""
    now = world.clock.now().isoformat()
    said = {
        "project_id": "p1",
        "event": "account.created",
        "event_date": now,
        "sent_at": now,
        "record_type": "account",
        "account_id": "account-1",
        "provider": "gong",
        "origin_owner_id": f"{world.key.tenant}-1",
    }
    return json.dumps({name: value for name, value in (said | changes).items() if value is not ...}).encode()


def post(console: Console, body: bytes, signature: str) -> httpx.Response:
    """Deliver it, as whoever sends it."""
    headers = {"content-type": "application/json", "x-stackone-signature": signature}
    answer: httpx.Response = console.nobody().post(PATH, content=body, headers=headers)
    return answer


def deliver(console: Console, body: bytes, secret: str = SECRET) -> httpx.Response:
    """Deliver it with its signature."""
    return post(console, body, sign(secret, body))


def assert_problem(answer: httpx.Response, status: int, words: str) -> None:
    """It is refused in a form that programs read, and no cache keeps it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["status"] == status
    assert words in answer.json()["detail"]


def test_a_consent_is_seen_at_once(made: Callable[..., tuple[World, Console]]) -> None:
    """A signed event resumes the run that waits for it; the same again does nothing, and is as welcome."""
    world, console = made(**FIRST)
    world.to_consent()
    world.runs.resumes.clear()
    body = payload(world)
    answers = [deliver(console, body) for _ in range(3)]
    assert [(a.status_code, a.json()) for a in answers] == [(200, {"hastened": n}) for n in (1, 0, 0)]
    assert world.runs.resumes == [world.run_id]
    assert world.gate(GateKind.CONSENT)


def test_two_secrets_at_once(made: Callable[..., tuple[World, Console]]) -> None:
    """While the secret is being replaced, both are good; a third is not, and afterwards the old one is not."""
    world, console = made(**BOTH)
    assert [deliver(console, payload(world), s).status_code for s in (SECRET, NEXT, OTHER)] == [200, 200, 401]
    _, later = made(CONSOLE__WEBHOOK_SECRET=NEXT)
    assert [deliver(later, payload(world), s).status_code for s in (SECRET, NEXT)] == [401, 200]


def test_without_a_secret_nothing_is_taken(made: Callable[..., tuple[World, Console]]) -> None:
    """Where no secret is set, nobody can sign: not even with an empty one."""
    world, console = made()
    for secret in ("", SECRET):
        assert_problem(deliver(console, payload(world), secret), 403, "switched off")


def test_forged_truncated_and_unsigned(made: Callable[..., tuple[World, Console]]) -> None:
    """A body that is not byte for byte what was signed is refused, and nothing is hastened."""
    world, console = made(**BOTH)
    world.to_consent()
    world.runs.resumes.clear()
    body = payload(world)
    signature = sign(SECRET, body)
    forged = body.replace(b"account.created", b"account.deleted")
    for sent, signed in [
        (body, ""),
        (body, sign(OTHER, body)),
        (body, sign("", body)),
        (body, signature[:-1]),
        (body, f"{signature}="),
        (body[:-1], signature),
        (body + b" ", signature),
        (forged, signature),
        (b"", signature),
    ]:
        assert_problem(post(console, sent, signed), 401, "not signed")
    assert (world.runs.resumes, world.runs.rounds) == ([], 0)


def test_a_replay(made: Callable[..., tuple[World, Console]]) -> None:
    """What was recorded is refused when its time is over, and so is what claims to be from the future."""
    world, console = made(**FIRST)
    recorded = payload(world)
    world.clock.move(minutes=15, seconds=1)
    assert_problem(deliver(console, recorded), 409, "15 minutes ago")
    ahead = payload(world)
    world.clock.move(minutes=-5, seconds=-1)
    assert_problem(deliver(console, ahead), 409, "5 minutes from now")


def test_other_events_are_ignored(made: Callable[..., tuple[World, Console]]) -> None:
    """What is not about accounts is taken and forgotten, whatever it holds and however old it is."""
    world, console = made(**FIRST)
    for body in (payload(world, event="hris.employee.created"), b'{"event": "anything"}'):
        answer = deliver(console, body)
        assert (answer.status_code, answer.json()) == (200, {"hastened": 0})


def test_signed_and_not_to_be_read(made: Callable[..., tuple[World, Console]]) -> None:
    """A right signature over something else than an event: that is told, without repeating what it was."""
    world, console = made(**FIRST)
    for body in (b"", b"{", b"\xff", b"[]", payload(world, account_id=...), payload(world, sent_at="sometime")):
        answer = deliver(console, body)
        assert_problem(answer, 400, "shape that keyturn does not know")
        assert "sometime" not in answer.text


def test_what_is_too_large_is_not_read(made: Callable[..., tuple[World, Console]]) -> None:
    """At 64 kB reading ends; what fits is read."""
    _, console = made(**FIRST)
    body = b'{"event": "anything", "x": "' + b"x" * LARGEST
    assert_problem(deliver(console, body), 413, "larger than any webhook")
    largest = b'{"event": "anything", "x": "' + b"x" * (LARGEST - 30) + b'"}'
    assert len(largest) == LARGEST
    assert deliver(console, largest).status_code == 200


def test_only_posts(made: Callable[..., tuple[World, Console]]) -> None:
    """There is nothing to see."""
    _, console = made(**FIRST)
    assert console.nobody().get(PATH).status_code == 405
