from __future__ import annotations

import inspect
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from importlib.metadata import version
from typing import Any

import httpx
import pytest

from keyturn.clients.answer import LONGEST_MESSAGE, Answer, Call, presentable
from keyturn.clients.budget import Budget
from keyturn.clients.transport import MEANINGS, Transport, Vendor
from keyturn.errors import (
    AmbiguousError,
    ConfigurationError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    VendorRefusedError,
)
from keyturn.ports import Window
from keyturn.settings import StackOneSettings

KEY = "v1.eu1.canary-key"
READ, WRITE = Call("GET", "/things"), Call("POST", "/things", json={"a": 1})

NEVER_REACHES_US = {
    httpx.HTTPStatusError,  # only from raise_for_status, which nobody calls
    httpx.CookieConflict,  # only from reading cookies by name
    httpx.StreamError,  # these five: only from streaming by hand
    httpx.StreamConsumed,
    httpx.StreamClosed,
    httpx.ResponseNotRead,
    httpx.RequestNotRead,
}


Answering = httpx.Response | type[Exception] | Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def transport(clock: Any) -> Iterator[Callable[..., Transport]]:
    """Make transports whose server is a response, an exception class, a function, or a real one (`None`)."""
    made: list[Transport] = []

    def make(answering: Answering | None = None, base_url: str = "https://api.example.com", **vendor: Any) -> Transport:
        wire = None if answering is None else httpx.MockTransport(_handler(answering))
        party = Vendor("Vendor", base_url, httpx.BasicAuth(KEY, ""), hidden=(KEY,), **vendor)
        made.append(Transport(party, Budget.stackone(StackOneSettings(), clock), clock, wire))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _handler(answering: Answering) -> Callable[[httpx.Request], httpx.Response]:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answering, httpx.Response):
            return answering
        if isinstance(answering, type):
            raise answering("Authorization: Basic canary-header", request=request)
        return answering(request)

    return handle


# --- what httpx says --------------------------------------------------------------------------------------------------


def test_every_exception_of_httpx_has_a_meaning() -> None:
    """A new exception class of httpx fails here until somebody has decided what it means."""
    exported = [getattr(httpx, name) for name in httpx.__all__]
    known = {c for c in exported if inspect.isclass(c) and issubclass(c, Exception)}
    assert known == set(MEANINGS) | NEVER_REACHES_US
    assert not set(MEANINGS) & NEVER_REACHES_US


@pytest.mark.parametrize("kind", [c for c in MEANINGS if issubclass(c, httpx.TransportError)])
def test_every_failure_becomes_one_of_ours_without_its_text(transport: Any, kind: type[Exception]) -> None:
    """No exception of httpx leaves the seam, and neither does the request that it holds."""
    with pytest.raises((TransientError, ConfigurationError)) as caught:
        transport(kind).fetch(WRITE)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    shown = "".join(traceback.format_exception(caught.value))
    if kind not in {httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError}:
        assert "canary-header" not in shown
    assert KEY not in shown


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError])
@pytest.mark.parametrize("call", [READ, WRITE])
def test_what_was_not_sent_is_unavailable(transport: Any, kind: type[Exception], call: Call) -> None:
    """Without a connection nothing can have happened, not even for a write."""
    with pytest.raises(UnavailableError, match="cannot be reached"):
        transport(kind).fetch(call)


@pytest.mark.parametrize("kind", [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])
def test_what_was_sent_and_not_answered_is_ambiguous_only_with_an_effect(transport: Any, kind: type[Exception]) -> None:
    """A lost answer to a write may have had its effect; a read may simply be repeated."""
    with pytest.raises(AmbiguousError, match="may or may not have taken effect"):
        transport(kind).fetch(WRITE)
    with pytest.raises(UnavailableError):
        transport(kind).fetch(READ)
    with pytest.raises(UnavailableError):
        transport(kind).fetch(Call("POST", "/search", reads=True))


def test_an_unknown_exception_below_a_known_one_is_read_carefully(transport: Any) -> None:
    """What httpx may add later means what its parent means."""

    class NewError(httpx.NetworkError):
        pass

    with pytest.raises(AmbiguousError):
        transport(NewError).fetch(WRITE)


@pytest.mark.parametrize("address", ["ftp://example.com", "https://[::1"])
def test_an_impossible_address_is_a_configuration_error(transport: Any, address: str) -> None:
    """Trying a wrong address again will not help."""
    with pytest.raises(ConfigurationError):
        transport(base_url=address).fetch(READ)


def test_a_header_that_http_cannot_carry_is_a_configuration_error_that_does_not_show_it(
    transport: Any, raw_server: Callable[[bytes | None], Any]
) -> None:
    """The error of httpx would quote the header."""
    server = raw_server(b"")
    with pytest.raises(ConfigurationError) as caught:
        transport(base_url=server.url).fetch(Call("GET", "/", headers={"x-account-id": "canary\nvalue"}))
    assert caught.value.__context__ is None
    assert "canary" not in str(caught.value)


# --- real connections -------------------------------------------------------------------------------------------------


def test_a_refused_connection_is_unavailable(transport: Any) -> None:
    """Nobody listens: unavailable, even for a write."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnavailableError, match="cannot be reached"):
        transport(base_url=f"http://127.0.0.1:{port}").fetch(WRITE)


def test_silence_after_a_write_is_ambiguous(transport: Any, raw_server: Callable[[bytes | None], Any]) -> None:
    """The request arrived, the answer did not."""
    server = raw_server(None)
    with pytest.raises(AmbiguousError, match="gave no answer in time"):
        transport(base_url=server.url, read_timeout_s=0.2).fetch(WRITE)
    assert server.requests[0].startswith(b"POST /things")


def test_a_call_may_bear_more_silence_than_usual(transport: Any, raw_server: Callable[[bytes | None], Any]) -> None:
    """The timeout of a call goes before the vendor's."""
    server = raw_server(None)
    with pytest.raises(UnavailableError, match="in time"):
        transport(base_url=server.url, read_timeout_s=60).fetch(Call("GET", "/", read_timeout_s=0.2))


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"this is not HTTP\r\n\r\n"]
)
def test_a_dropped_connection_after_a_write_is_ambiguous(
    transport: Any, raw_server: Callable[[bytes | None], Any], answer: Any
) -> None:
    """Nothing, half an answer and nonsense all leave the effect unknown."""
    with pytest.raises(AmbiguousError, match="dropped the connection"):
        transport(base_url=raw_server(answer).url).fetch(WRITE)


class Confirming(Budget):
    """A budget that notes what the server had read when a slot was confirmed, and may refuse to."""

    def __init__(self, clock: Any, server: Any, problem: Exception | None = None) -> None:
        super().__init__("Vendor", [Window(100, 60)], clock)
        self.read: list[list[bytes]] = []
        self._server, self._problem = server, problem

    def confirm(self, leave_by: float, company: str = "") -> None:
        """Note, and refuse if that is wanted."""
        self.read.append(list(self._server.requests))
        if self._problem:
            raise self._problem
        super().confirm(leave_by, company)


def test_the_slot_is_confirmed_once_connected_and_before_anything_is_sent(
    clock: Any, raw_server: Callable[[bytes | None], Any]
) -> None:
    """However long connecting took: the vendor counts from when the request arrives."""
    server = raw_server(b"HTTP/1.1 204 No Content\r\n\r\n")
    budget = Confirming(clock, server)
    with Transport(Vendor("Vendor", server.url), budget, clock) as transport:
        transport.fetch(WRITE)
    assert budget.read == [[]]
    assert len(server.requests) == 1


def test_a_slot_that_cannot_be_had_any_more_sends_nothing(
    clock: Any, raw_server: Callable[[bytes | None], Any]
) -> None:
    """The call is told that the budget is used up, and the vendor has read nothing."""
    server = raw_server(b"HTTP/1.1 204 No Content\r\n\r\n")
    budget = Confirming(clock, server, RateLimitedError("Vendor", "is used up", "Wait.", 5))
    with Transport(Vendor("Vendor", server.url), budget, clock) as transport, pytest.raises(RateLimitedError):
        transport.fetch(WRITE)
    assert [request for request in server.requests if request] == []


def test_a_request_has_a_user_agent_and_is_signed(transport: Any, raw_server: Callable[[bytes | None], Any]) -> None:
    """StackOne refuses requests without a User-Agent."""
    server = raw_server(b"HTTP/1.1 204 No Content\r\n\r\n")
    transport(base_url=server.url + "/").fetch(Call("GET", "/things", {"page": 1}))
    head = server.requests[0].decode().lower()
    assert head.startswith("get /things?page=1 ")
    assert f"user-agent: keyturn/{version('keyturn')}" in head
    assert "authorization: basic " in head


# --- credentials go to the vendor only --------------------------------------------------------------------------------


def test_a_whole_address_gets_no_credentials(transport: Any, raw_server: Callable[[bytes | None], Any]) -> None:
    """The API key belongs to the base URL, not to wherever else something is read from."""
    server = raw_server(b"HTTP/1.1 204 No Content\r\n\r\n")
    transport().fetch(Call("GET", server.url + "/document"))
    assert b"authorization" not in server.requests[0].lower()


def test_a_redirect_is_a_refusal_and_is_not_followed(transport: Any, raw_server: Callable[[bytes | None], Any]) -> None:
    """Credentials are not carried to where a redirect leads."""
    elsewhere = raw_server(b"HTTP/1.1 204 No Content\r\n\r\n")
    moved = raw_server(f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(VendorRefusedError, match="leads elsewhere"):
        transport(base_url=moved.url).fetch(WRITE)
    assert elsewhere.requests == []


# --- what the server answers ------------------------------------------------------------------------------------------


def test_a_2xx_is_returned(transport: Any) -> None:
    """Status, headers and body come through."""
    answer = transport(httpx.Response(201, json={"id": 7})).fetch(WRITE)
    assert (answer.status, answer.json()) == (201, {"id": 7})


def test_429_is_rate_limited_and_pauses_the_budget(transport: Any, clock: Any) -> None:
    """The error tells how long, and the next call waits for it."""
    answers = [httpx.Response(429, headers={"Retry-After": "9"}), httpx.Response(204)]
    client = transport(lambda _: answers.pop(0))
    with pytest.raises(RateLimitedError) as caught:
        client.fetch(WRITE)
    assert caught.value.retry_after_s == 9
    client.fetch(WRITE)
    assert clock.slept == [9]


def test_retry_after_may_be_a_date(transport: Any, clock: Any) -> None:
    """RFC 9110 allows both forms."""
    date = format_datetime(clock.now() + timedelta(seconds=40), usegmt=True)
    with pytest.raises(RateLimitedError) as caught:
        transport(httpx.Response(429, headers={"Retry-After": date})).fetch(READ)
    assert caught.value.retry_after_s == 40


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("-5", None), ("soon", None), ("", None), ("9" * 400, 86_400), ("Mon, 01 Jan 2001 00:00:00 GMT", 0)],
)
def test_strange_retry_after_is_survived(text: str, seconds: Any, clock: Any) -> None:
    """Nonsense is no answer, the past is now, and nobody waits longer than a day."""
    assert Answer(429, {"retry-after": text}, b"").retry_after_s(clock.now()) == seconds


@pytest.mark.parametrize("seconds", ["0", "3"])
def test_408_with_retry_after_is_rate_limited(transport: Any, seconds: Any, clock: Any) -> None:
    """StackOne passes a provider's 429 on as 408 with Retry-After."""
    with pytest.raises(RateLimitedError):
        transport(httpx.Response(408, headers={"Retry-After": seconds})).fetch(WRITE)
    assert clock.slept == []


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_failure_is_ambiguous_for_a_write_and_unavailable_for_a_read(transport: Any, status: int) -> None:
    """A server that fails may have begun."""
    with pytest.raises(AmbiguousError, match=str(status)):
        transport(httpx.Response(status)).fetch(WRITE)
    with pytest.raises(UnavailableError, match=str(status)):
        transport(httpx.Response(status)).fetch(READ)


def test_a_server_failure_keeps_the_servers_wish_to_wait(transport: Any) -> None:
    """503 may carry Retry-After too."""
    with pytest.raises(UnavailableError) as caught:
        transport(httpx.Response(503, headers={"Retry-After": "12"})).fetch(READ)
    assert caught.value.retry_after_s == 12


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 412, 422, 501])
def test_other_statuses_are_a_definite_no(transport: Any, status: int) -> None:
    """Trying again unchanged will not help, and the remedy is the status's own."""
    with pytest.raises(VendorRefusedError) as caught:
        transport(httpx.Response(status), remedies={status: "Do this."}).fetch(WRITE)
    assert (str(status) in caught.value.problem, caught.value.remedy) == (True, "Do this.")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"statusCode": 400, "message": "Name is taken", "provider_errors": [{"raw": "canary"}]}, "Name is taken"),
        ({"message": ["one", "two"]}, "one; two"),
        ({"requestId": "r", "errors": ["Bad scope", "Bad name"]}, "Bad scope; Bad name"),
        ({"error": "invalid_client", "error_description": "Who?"}, "invalid_client: Who?"),
        ({"error": "invalid_client"}, "invalid_client"),
        ({"message": {"nested": "canary"}}, ""),
        (["canary"], ""),
        ("canary", ""),
    ],
)
def test_the_vendors_own_message_is_quoted_from_every_envelope(transport: Any, body: Any, said: str) -> None:
    """StackOne's, Gong's and OAuth's envelope are read; anything else is not quoted."""
    with pytest.raises(VendorRefusedError) as caught:
        transport(httpx.Response(400, json=body)).fetch(WRITE)
    assert caught.value.problem == "answered POST /things with 400" + (f": {said}" if said else "")


def test_a_page_instead_of_json_is_not_quoted(transport: Any) -> None:
    """A proxy's HTML is no message."""
    with pytest.raises(VendorRefusedError) as caught:
        transport(httpx.Response(403, html="<p>canary</p>")).fetch(READ)
    assert "canary" not in str(caught.value)


def test_a_message_that_repeats_the_key_is_blanked(transport: Any) -> None:
    """An invalid key is often quoted back."""
    with pytest.raises(VendorRefusedError) as caught:
        transport(httpx.Response(401, json={"message": f"{KEY} is no key"})).fetch(READ)
    assert "[hidden] is no key" in caught.value.problem
    assert KEY not in str(caught.value)


def test_a_call_with_a_secret_in_its_body_quotes_nothing(transport: Any) -> None:
    """A validation error may repeat what was sent."""
    call = Call("POST", "/things", json={"client_secret": "canary"}, quotable=False)
    with pytest.raises(VendorRefusedError) as caught:
        transport(httpx.Response(422, json={"message": "canary is too short"})).fetch(call)
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(call)


def test_messages_are_short_and_printable() -> None:
    """Control characters, text that turns direction, line breaks and novels do not reach a terminal."""
    assert presentable("a\x1b[31m\r\nb\u202ec\x00") == "a [31m b c"
    assert len(presentable("x" * 10_000)) == LONGEST_MESSAGE


def test_ask_returns_what_expect_would_raise(transport: Any) -> None:
    """Whoever wants to look at a refusal first can."""
    client = transport(httpx.Response(404))
    answer = client.ask(READ)
    assert answer.status == 404
    with pytest.raises(VendorRefusedError):
        client.expect(READ, answer)


def test_errors_survive_pickling(transport: Any) -> None:
    """Errors cross process borders as plain sentences."""
    with pytest.raises(AmbiguousError) as caught:
        transport(httpx.Response(503, headers={"Retry-After": "4"})).fetch(WRITE)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  our own bytes
    assert (str(again), again.retry_after_s) == (str(caught.value), 4)


@pytest.mark.parametrize(("status", "gone"), [(400, False), (403, False), (404, True), (410, True), (422, False)])
def test_a_no_keeps_its_status(transport: Any, status: int, gone: bool) -> None:  # noqa: FBT001  a parameter
    """What is gone can be told from what is refused, also in another process."""
    with pytest.raises(VendorRefusedError) as caught:
        transport(httpx.Response(status)).fetch(READ)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  our own bytes
    assert (again.status, again.gone, str(again)) == (status, gone, str(caught.value))


def test_a_no_without_a_status_is_not_gone() -> None:
    """An answer that could not be read says nothing of what was asked for."""
    error = VendorRefusedError("StackOne", "answered with something else")
    assert (error.status, error.gone, pickle.loads(pickle.dumps(error)).status) == (None, False, None)  # noqa: S301


def test_nothing_shows_the_key_or_a_body(transport: Any, clock: Any) -> None:
    """The texts that end up in logs hold neither credentials nor people."""
    answer = transport(httpx.Response(200, json={"email": "canary@example.com"})).ask(READ)
    vendor = Vendor("Vendor", "https://user:canary@example.com", httpx.BasicAuth(KEY, ""), (KEY,))
    with Transport(vendor, Budget.stackone(StackOneSettings(), clock), clock) as client:
        assert client.subject == "Vendor at example.com"
    assert "canary" not in repr(answer)
    assert KEY not in repr(vendor)
