from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from keyturn.errors import UnavailableError
from tests.console.api.conftest import API, Caller, problem
from tests.console.conftest import Console
from tests.services.world import World

Callers = Callable[..., Caller]


def test_what_has_not_changed_is_not_sent_again(world: World, caller: Callers) -> None:
    """The ETag is that of the body: it holds while nothing changes, and not longer."""
    world.to_approval()
    viewer, path = caller("vera", "viewer"), f"/integrations/{world.key}"
    first = viewer.get(path)
    tag = first.headers["etag"]
    assert tag.strip('"').isalnum()
    for known in (tag, f'"other", W/{tag}', "*"):
        again = viewer.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert viewer.get(path, headers={"if-none-match": '"other"'}).content == first.content
    world.approve()
    changed = viewer.get(path, headers={"if-none-match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)


def test_nobody_else_keeps_an_answer(world: World, caller: Callers) -> None:
    """What is read may be kept by its reader, who asks each time; what was done, and a failure, by nobody."""
    world.to_approval()
    assert caller("vera", "viewer").get("/me").headers["cache-control"] == "private, no-cache"
    for answer in (caller("alice").post("check"), caller("vera", "viewer").get("/nothing")):
        assert (answer.headers["cache-control"], "etag" in answer.headers) == ("no-store", False)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "not announced"])
def test_a_body_has_an_end(caller: Callers, *, announced: bool) -> None:
    """More than 64 kB are refused, also when the sender does not say how much there will be."""
    body = json.dumps({"reason": "x" * 70_000}).encode()

    def trickle() -> Iterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    sent = body if announced else trickle()
    answer = caller("alice").post("abandon", content=sent, headers={"content-type": "application/json"})
    assert problem(answer, 413)


def test_a_form_is_no_json(world: World, caller: Callers) -> None:
    """What a browser could be made to send from elsewhere is not taken."""
    gate = world.to_approval()
    answer = caller("bob").post("approve", data={"digest": gate.digest})
    assert problem(answer, 422)
    text = json.dumps({"digest": gate.digest})
    assert problem(caller("bob").post("approve", content=text, headers={"content-type": "text/plain"}), 422)
    assert world.ports.ledger.gates(key=world.key)[0].decisions == ()


def test_unknown_questions_are_refused(caller: Callers) -> None:
    """A misspelled parameter restricts nothing, so it must not look as if it did."""
    viewer = caller("vera", "viewer")
    for path in ("/integrations", "/gates", "/integrations/acme/production", "/integrations/acme/production/plan"):
        assert "not permitted" in problem(viewer.get(path, params={"grup": "approver"}), 422)["detail"]


def test_what_is_not_offered(console: Console) -> None:
    """Another method is told which there are."""
    answer = console.nobody().delete(f"{API}/me")
    assert problem(answer, 405)
    assert answer.headers["allow"] == "GET"


def test_what_is_away_is_said_to_be_away(filed: World, calling: Callable[[World], Callers]) -> None:
    """Trying again helps, so the answer says when; what was begun is there all the same, and asking again goes on."""
    alice = calling(filed)("alice")
    filed.runs.failures.append(UnavailableError("Prefect", "is away", "Start it.", 7.0))
    answer = alice.post("onboard")
    assert problem(answer, 503)["title"] == "UnavailableError"
    assert answer.headers["retry-after"] == "7"
    begun = alice.done("onboard")
    assert (begun["created"], begun["run_started"]) == (False, True)
    assert begun["attempt"] == str(filed.attempt.id)
