from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from keyturn.clients.budget import Budget
from keyturn.clients.gong.explanation import explanation_of
from keyturn.clients.gong.token_endpoint import (
    BOGUS_CODE,
    DisabledTokenEndpoint,
    GongTokenEndpoint,
    token_endpoint,
)
from keyturn.clients.transport import Transport, Vendor
from keyturn.domain.credential import Credential, Probe, ProbeOutcome
from keyturn.settings import GongSettings

URL = "https://app.gong.example/oauth2/generate-customer-token"
RIGHT = Credential("client-id", "canary-right-secret")
WRONG = Credential("client-id", "canary-wrong-secret")

INVALID_CLIENT = httpx.Response(401, json={"error": "invalid_client", "error_description": "Bad client credentials"})
INVALID_GRANT = httpx.Response(400, json={"error": "invalid_grant", "error_description": "Unknown code"})
LOGIN = httpx.Response(302, headers={"Location": "https://app.gong.example/login"})
ENVELOPE_401 = httpx.Response(401, json={"requestId": "r1", "errors": ["Client authentication failed"]})
ENVELOPE_400 = httpx.Response(400, json={"requestId": "r2", "errors": ["Invalid code"]})

Server = Callable[[httpx.Request], httpx.Response]


def client_first(refused: httpx.Response, bad_code: httpx.Response) -> Server:
    """An endpoint that looks at the pair, then at the code."""

    def answer(request: httpx.Request) -> httpx.Response:
        return bad_code if pair_of(request) == ("client-id", "canary-right-secret") else refused

    return answer


def always(response: httpx.Response) -> Server:
    """An endpoint that looks at the code first, or at our address, or that is broken."""
    return lambda _: response


def pair_of(request: httpx.Request) -> tuple[str, str]:
    """Client id and secret of HTTP Basic."""
    scheme, _, value = request.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    client_id, _, secret = base64.b64decode(value).decode().partition(":")
    return client_id, secret


@pytest.fixture
def probe(clock: Any) -> Iterator[Callable[[Server, Credential], Probe]]:
    """Probe a pair at a server."""
    opened: list[Transport] = []

    def run(server: Server, credential: Credential) -> Probe:
        budget = Budget.gong(GongSettings(), clock)
        opened.append(Transport(Vendor("Gong", URL), budget, clock, httpx.MockTransport(server)))
        return GongTokenEndpoint(URL, opened[-1]).probe(credential)

    yield run
    for transport in opened:
        transport.close()


SERVERS = {
    "OAuth, client first": client_first(INVALID_CLIENT, INVALID_GRANT),
    "OAuth, client first, envelope for the code": client_first(INVALID_CLIENT, ENVELOPE_400),
    "OAuth, code first": always(INVALID_GRANT),
    "OAuth with 400 throughout": client_first(httpx.Response(400, json={"error": "invalid_client"}), INVALID_GRANT),
    "invalid_client with 400 for all": always(httpx.Response(400, json={"error": "invalid_client"})),
    "invalid_grant for a wrong pair too, but 401": always(httpx.Response(401, json={"error": "invalid_grant"})),
    "envelope, client first": client_first(ENVELOPE_401, ENVELOPE_400),
    "envelope, code first": always(ENVELOPE_400),
    "envelope 401 for all": always(ENVELOPE_401),
    "envelope that speaks OAuth": always(httpx.Response(401, json={"errors": ["invalid_client"]})),
    "text": client_first(httpx.Response(401, text="invalid_client"), httpx.Response(400, text="invalid_grant")),
    "JSON text": always(httpx.Response(401, json="invalid_client")),
    "JSON list": always(httpx.Response(401, json=["invalid_client"])),
    "an object as error": always(httpx.Response(401, json={"error": {"code": "invalid_client"}})),
    "the code as prefix": always(httpx.Response(401, json={"error": "invalid_client_ip"})),
    "empty 401": always(httpx.Response(401)),
    "address refused": always(httpx.Response(403, json={"requestId": "r", "errors": ["IP is not trusted"]})),
    "address refused in the OAuth shape": always(
        httpx.Response(401, json={"error": "invalid_client", "error_description": "IP_NOT_ALLOWED"})
    ),
    "403 with invalid_client": always(httpx.Response(403, json={"error": "invalid_client"})),
    "unauthorized_client": always(httpx.Response(400, json={"error": "unauthorized_client"})),
    "invalid_request": always(httpx.Response(400, json={"error": "invalid_request"})),
    "login page by redirect": always(LOGIN),
    "login page": always(httpx.Response(200, html="<form>invalid_client</form>")),
    "200 with tokens": always(httpx.Response(200, json={"access_token": "canary"})),
    "200 with an error": always(httpx.Response(200, json={"error": "invalid_client"})),
    "404": always(httpx.Response(404, json={"error": "invalid_client"})),
    "500": always(httpx.Response(500, json={"error": "invalid_client"})),
    "429": always(httpx.Response(429, json={"error": "invalid_client"}, headers={"Retry-After": "5"})),
    "broken JSON": always(httpx.Response(401, text='{"error": "invalid_client"')),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_wrong_pair_is_never_called_valid(probe: Any, name: str) -> None:
    """Whatever the shape of the endpoint's answers."""
    assert probe(SERVERS[name], WRONG).outcome is not ProbeOutcome.VALID


@pytest.mark.parametrize("name", SERVERS)
def test_a_right_pair_is_never_called_wrong(probe: Any, name: str) -> None:
    """Whatever the shape of the endpoint's answers."""
    assert probe(SERVERS[name], RIGHT).outcome is not ProbeOutcome.WRONG_PAIR


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("credential", [RIGHT, WRONG], ids=["right", "wrong"])
def test_the_evidence_holds_no_secret_and_nothing_of_the_body(probe: Any, name: str, credential: Credential) -> None:
    """Outcome, status, a word of ours and sentences of ours."""
    result = probe(SERVERS[name], credential)
    assert "canary" not in repr(result)
    assert result.explanation.endswith(".")


def test_an_oauth_endpoint_that_looks_at_the_client_first_tells_both(probe: Any) -> None:
    """The one shape in which everything can be known."""
    server = SERVERS["OAuth, client first"]
    valid, wrong = probe(server, RIGHT), probe(server, WRONG)
    assert (valid.outcome, valid.status, valid.code) == (ProbeOutcome.VALID, 400, "invalid_grant")
    assert (wrong.outcome, wrong.status, wrong.code) == (ProbeOutcome.WRONG_PAIR, 401, "invalid_client")
    assert "Copy both again from Gong's table" in wrong.explanation


def test_a_wrong_pair_is_known_even_if_a_right_one_is_not(probe: Any) -> None:
    """401 invalid_client stands on its own."""
    server = SERVERS["OAuth, client first, envelope for the code"]
    assert probe(server, WRONG).outcome is ProbeOutcome.WRONG_PAIR
    assert probe(server, RIGHT).outcome is ProbeOutcome.NOT_PROVEN


def test_an_endpoint_that_looks_at_the_code_first_proves_nothing(probe: Any) -> None:
    """A made-up secret is answered in the same way, so invalid_grant is no proof."""
    result = probe(SERVERS["OAuth, code first"], WRONG)
    assert (result.outcome, result.code) == (ProbeOutcome.NOT_PROVEN, "invalid_grant")
    assert "made-up secret in the same way" in result.explanation


@pytest.mark.parametrize("spoilt", [ENVELOPE_401, LOGIN, httpx.Response(429), httpx.Response(503), INVALID_GRANT])
def test_without_a_clear_control_nothing_is_valid(probe: Any, spoilt: httpx.Response) -> None:
    """Only the refusal of a made-up secret shows that the secret mattered."""
    answers = [INVALID_GRANT, spoilt]
    assert probe(lambda _: answers.pop(0), RIGHT).outcome is ProbeOutcome.NOT_PROVEN


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("envelope 401 for all", 401, "Gong's own error"),
        ("text", 401, "text instead of JSON"),
        ("JSON list", 401, "unknown JSON"),
        ("address refused", 403, "address refused"),
        ("address refused in the OAuth shape", 401, "address refused"),
        ("login page by redirect", 302, "redirect"),
        ("200 with tokens", 200, "unexpected success"),
        ("500", 500, "server error"),
        ("429", 429, "too many requests"),
    ],
)
def test_what_proves_nothing_is_kept_as_evidence(probe: Any, name: str, status: int, word: str) -> None:
    """Status and a word for what came instead."""
    result = probe(SERVERS[name], WRONG)
    assert (result.outcome, result.status, result.code) == (ProbeOutcome.NOT_PROVEN, status, word)


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
def test_an_endpoint_that_cannot_be_reached_proves_nothing(probe: Any, kind: type[Exception]) -> None:
    """No answer is no verdict, and no exception either."""

    def broken(_: httpx.Request) -> httpx.Response:
        raise kind("canary")

    result = probe(broken, RIGHT)
    assert (result.outcome, result.status, result.code) == (ProbeOutcome.NOT_PROVEN, None, "no answer")


def test_the_request_has_gongs_documented_form(probe: Any) -> None:
    """POST, query string, empty body, HTTP Basic; and the control differs in the secret only."""
    seen: list[httpx.Request] = []

    def watch(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return INVALID_GRANT

    probe(watch, RIGHT)
    ours, control = seen
    assert (ours.method, ours.content, ours.url.path) == ("POST", b"", "/oauth2/generate-customer-token")
    assert parse_qs(ours.url.query.decode()) == {
        "grant_type": ["authorization_code"],
        "code": [BOGUS_CODE],
        "client_id": ["client-id"],
        "redirect_uri": ["https://api.stackone.com/connect/oauth2/gong/callback"],
    }
    assert pair_of(ours) == ("client-id", "canary-right-secret")
    assert (control.url, control.content) == (ours.url, b"")
    assert pair_of(control)[0] == "client-id"
    assert pair_of(control)[1] != "canary-right-secret"


def test_a_refused_pair_is_not_followed_by_a_control(probe: Any) -> None:
    """A needless failed sign-in at Gong is not made."""
    calls: list[httpx.Request] = []

    def count(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return INVALID_CLIENT

    probe(count, WRONG)
    assert len(calls) == 1


def test_a_secret_that_basic_cannot_carry_is_not_sent(probe: Any) -> None:
    """Authlib's own error would quote it."""
    result = probe(always(INVALID_CLIENT), Credential("client-id", "canary-\N{SNOWMAN}"))
    assert (result.outcome, result.code) == (ProbeOutcome.NOT_PROVEN, "not sendable")


def test_silence_is_borne_for_a_while_only(clock: Any, raw_server: Callable[[bytes | None], Any]) -> None:
    """A real server that never answers."""
    url = raw_server(None).url
    with Transport(Vendor("Gong", url, read_timeout_s=0.2), Budget.gong(GongSettings(), clock), clock) as transport:
        assert GongTokenEndpoint(url, transport).probe(RIGHT).code == "no answer"


def test_the_probe_can_be_switched_off(clock: Any) -> None:
    """Then nobody is asked, and the outcome says why."""
    endpoint = token_endpoint(GongSettings(probe=False), clock)
    result = endpoint.probe(WRONG)
    assert isinstance(endpoint, DisabledTokenEndpoint)
    assert (result.outcome, result.status) == (ProbeOutcome.NOT_PROVEN, None)
    assert "KEYTURN_GONG__PROBE" in result.explanation


def test_the_settings_make_an_endpoint(clock: Any, raw_server: Callable[[bytes | None], Any]) -> None:
    """As wired: from the settings to a request."""
    body = b'{"error": "invalid_client"}'
    server = raw_server(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    endpoint = token_endpoint(GongSettings(token_url=server.url + "/token"), clock)
    assert isinstance(endpoint, GongTokenEndpoint)
    assert endpoint.probe(WRONG).outcome is ProbeOutcome.WRONG_PAIR
    assert server.requests[0].startswith(b"POST /token?grant_type=authorization_code")
    endpoint._transport.close()


def test_every_explanation_says_what_follows() -> None:
    """Sentences for people, for known and unknown cases alike."""
    for case in ("valid", "wrong pair", "code first", "no control", "no answer", "redirect", "never heard of"):
        assert explanation_of(case).endswith(".")
