from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from keyturn import errors
from keyturn.clients.console import ConsoleApi
from keyturn.errors import (
    AmbiguousError,
    ConfigurationError,
    KeyturnError,
    NotPermittedError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnavailableError,
    VendorRefusedError,
)
from tests.fakes.clock import FakeClock

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, KeyturnError)]
SECRET = "what-nobody-may-repeat"
PROBLEM = {"content-type": "application/problem+json"}


@dataclass
class Tokens:
    """Tokens, one after the other."""

    left: list[str] = field(default_factory=lambda: ["first"])

    def token(self) -> str:
        """The present one."""
        return self.left[0]

    def instead_of(self, refused: str) -> str:
        """The next one, if there is one."""
        assert refused == self.left[0]
        return self.left[1] if len(self.left) > 1 else ""


Handler = Callable[[httpx.Request], httpx.Response]


def console(handler: Handler | httpx.Response, *tokens: str) -> ConsoleApi:
    """A console that answers so."""
    wire = httpx.MockTransport(handler if callable(handler) else lambda _: handler)
    return ConsoleApi("https://console.example/", Tokens([*tokens] or ["first"]), FakeClock(), wire)


def refusal(status: int, title: str, **more: Any) -> httpx.Response:
    """What the console says when something was raised."""
    said = {"type": "about:blank", "title": title, "status": status}
    words = {"subject": "acme/production", "detail": "a rule says no", "remedy": "Look again."}
    return httpx.Response(status, json=said | words | more, headers=PROBLEM)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_raised_there_is_raised_here(kind: type[KeyturnError]) -> None:
    """With its kind, and so its exit code, and all its words."""
    with pytest.raises(KeyturnError) as raised:
        console(refusal(409, kind.__name__)).get("/me")
    assert type(raised.value) is kind
    assert str(raised.value) == "acme/production: a rule says no → Look again."


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ConfigurationError),
        (401, NotPermittedError),
        (403, NotPermittedError),
        (404, RefusedError),
        (409, RefusedError),
        (413, ConfigurationError),
        (422, ConfigurationError),
        (429, RateLimitedError),
        (500, UnavailableError),
        (502, VendorRefusedError),
        (503, UnavailableError),
    ],
)
def test_what_only_the_console_raises_becomes_what_is_closest(status: int, kind: type[KeyturnError]) -> None:
    """A kind that this keyturn does not have, or a name that is no failure at all."""
    for title in ("NotSignedInError", "annotations", "HTTPStatus", "KeyturnErrors"):
        with pytest.raises(KeyturnError) as raised:
            console(refusal(status, title)).get("/me")
        assert type(raised.value) is kind


def test_how_long_to_wait_comes_along() -> None:
    """Whoever tries again by itself needs to know when."""
    answer = refusal(429, "RateLimitedError")
    answer.headers["retry-after"] = "600"
    with pytest.raises(RateLimitedError) as raised:
        console(answer).post("/integrations/acme/production/submit", {})
    assert raised.value.retry_after_s == 600


def test_no_answer_gives_orders_to_a_terminal() -> None:
    """Control characters are left out; lines stay lines."""
    with pytest.raises(RefusedError) as raised:
        console(refusal(409, "RefusedError", detail="one\x1b]0;x\x07\ntwo\u202e")).get("/me")
    assert raised.value.problem == "one]0;x\ntwo"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(404, html="<h1>Not here</h1>"), ConfigurationError),
        (httpx.Response(200, html="<h1>Welcome</h1>"), ConfigurationError),
        (httpx.Response(302, headers={"location": "https://elsewhere.example/"}), ConfigurationError),
        (httpx.Response(403, json={"error": "no"}), ConfigurationError),
        (httpx.Response(502, html="<h1>Bad gateway</h1>"), UnavailableError),
    ],
)
def test_somebody_else_answers(answer: httpx.Response, kind: type[KeyturnError]) -> None:
    """A proxy, or a server at a wrong address; no redirect is followed with the token."""
    with pytest.raises(kind, match="not as keyturn's console does"):
        console(answer).get("/me")


def test_a_lost_answer_is_told_apart() -> None:
    """What was read can be read again; what was to be done may have been done. Nothing that was sent is repeated."""

    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout(f"no answer to {request.content!r}")

    for ask in (lambda api: api.get("/me"), lambda api: api.post("/x", {"secret": SECRET}, reads=True)):
        with pytest.raises(UnavailableError) as raised:
            ask(console(lost))
        assert SECRET not in repr(raised.value)
    with pytest.raises(AmbiguousError) as raised:
        console(lost).post("/x", {"secret": SECRET})
    assert SECRET not in f"{raised.value!r} {raised.value.__cause__!r} {raised.value.__context__!r}"


def test_another_token_is_tried_once() -> None:
    """One that was kept may have been revoked; what was refused was not done, so it is sent once more."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.headers['authorization']} {request.content.decode()}")
        good = request.headers["authorization"] == "Bearer second"
        return httpx.Response(200, json={"done": True}) if good else refusal(401, "NotSignedInError")

    assert console(handler, "first", "second").post("/x", {"a": 1}) == {"done": True}
    assert seen == ['Bearer first {"a":1}', 'Bearer second {"a":1}']
    with pytest.raises(NotPermittedError):
        console(handler, "first").get("/me")
    assert len(seen) == 3


def test_where_to_sign_in_is_asked_without_a_token() -> None:
    """There is none yet."""

    def handler(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(200, json={"issuer": None, "url": str(request.url)})

    assert console(handler).sign_in()["url"] == "https://console.example/api/v1/sign-in"


def test_nothing_to_say_is_an_answer() -> None:
    """204 has no body."""
    assert console(httpx.Response(204)).post("/x", {}) is None


def test_a_signed_file_is_one() -> None:
    """It is no JSON, and anything else than its three parts is not from the console."""
    assert console(httpx.Response(200, text="a-Z.b_9.c")).signed("/x") == "a-Z.b_9.c"
    for other in ("", "a.b", "a.b.c.d", "<h1>a.b.c</h1>", '{"a": 1}'):
        with pytest.raises(ConfigurationError):
            console(httpx.Response(200, text=other)).signed("/x")


def test_every_transient_failure_says_so() -> None:
    """One question decides about trying again, and the kind answers it."""
    transient = [kind for kind in KINDS if issubclass(kind, TransientError)]
    assert len(transient) == 4
    assert {kind.exit_code for kind in transient} == {3}
