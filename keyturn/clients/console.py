"""keyturn's own console, as a command sees it from a machine without the ledger: its JSON API."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Generator, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import httpx

from keyturn import errors
from keyturn.clients.answer import Answer, Call
from keyturn.clients.budget import Budget
from keyturn.clients.transport import Transport, Vendor
from keyturn.errors import (
    ConfigurationError,
    KeyturnError,
    NotPermittedError,
    RateLimitedError,
    RefusedError,
    TransientError,
    UnavailableError,
    VendorRefusedError,
)
from keyturn.ports import Clock, Window

API = "/api/v1"
_READ_TIMEOUT_S = 120.0  # looking at a connection from every side takes its time
_MOST_A_SECOND = 50
_COMPACT = re.compile(rb"[\w-]+\.[\w-]+\.[\w-]+")
_BY_STATUS: Mapping[int, type[KeyturnError]] = {
    HTTPStatus.UNAUTHORIZED: NotPermittedError,
    HTTPStatus.FORBIDDEN: NotPermittedError,
    HTTPStatus.NOT_FOUND: RefusedError,
    HTTPStatus.CONFLICT: RefusedError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
    HTTPStatus.BAD_GATEWAY: VendorRefusedError,
}


class Tokens(Protocol):
    """Where the bearer token comes from."""

    def token(self) -> str:
        """The token to send."""

    def instead_of(self, refused: str) -> str:
        """Another one, the console having refused this one; empty when there is none."""


class ConsoleApi:
    """Calls the console's API as one person. Whatever fails there is raised here as what it was.

    Args:
        url: of the console.
        wire: what carries the requests; httpx's own unless a test has something else.
    """

    def __init__(self, url: str, tokens: Tokens, clock: Clock, wire: httpx.BaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        vendor = Vendor("Console", self._url, _Bearer(tokens), read_timeout_s=_READ_TIMEOUT_S)
        budget = Budget(vendor.name, [Window(_MOST_A_SECOND, 1)], clock)
        self._transport = Transport(vendor, budget, clock, wire)
        self._clock = clock

    @property
    def subject(self) -> str:
        """The console, as errors name it."""
        return self._transport.subject

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def sign_in(self) -> Mapping[str, Any]:
        """Where to get a token; asked without one."""
        return dict(self._json(Call("GET", self._url + API + "/sign-in")))

    def get(self, path: str, **query: str | int) -> Any:  # noqa: ANN401  JSON
        """What is at a path below `/api/v1`."""
        return self._json(Call("GET", API + path, query))

    def signed(self, path: str) -> str:
        """A signed file (JWS in its compact form) at a path below `/api/v1`. Whether it holds is not looked at."""
        answer = self._answer(Call("GET", API + path))
        if not _COMPACT.fullmatch(answer.body):
            raise self._stranger(answer)
        return answer.body.decode()

    def post(self, path: str, body: object = None, *, reads: bool = False) -> Any:  # noqa: ANN401  JSON
        """Do something; gives the answer, or `None` when there is nothing to say.

        Args:
            path: below `/api/v1`.
            body: JSON.
            reads: it changes nothing, so a lost answer leaves nothing in doubt.
        """
        return self._json(Call("POST", API + path, json=body, reads=reads, quotable=False))

    def _json(self, call: Call) -> Any:  # noqa: ANN401  as above
        answer = self._answer(call)
        if answer.status == HTTPStatus.NO_CONTENT:
            return None
        try:
            return json.loads(answer.body)
        except ValueError:
            raise self._stranger(answer) from None

    def _answer(self, call: Call) -> Answer:
        answer = self._transport.ask(call)
        if not answer.fine:
            raise self._problem(answer)
        return answer

    def _problem(self, answer: Answer) -> KeyturnError:
        """What was raised in the console, by the problem details that it sent (RFC 9457)."""
        said = answer.json()
        if not isinstance(said, dict) or not {"title", "detail", "subject", "remedy"} <= said.keys():
            return self._stranger(answer)
        kind = _kind(str(said["title"]), answer.status)
        subject, detail, remedy = (_harmless(str(said[name])) for name in ("subject", "detail", "remedy"))
        if issubclass(kind, TransientError):
            return kind(subject, detail, remedy, answer.retry_after_s(self._clock.now()) or 0.0)
        return kind(subject, detail, remedy)

    def _stranger(self, answer: Answer) -> KeyturnError:
        """Somebody answered who is not the console: a proxy, or another server."""
        problem = f"answered with {answer.status}, and not as keyturn's console does"
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnavailableError(self.subject, problem, "Wait until it runs again, then try again.")
        return ConfigurationError(self.subject, problem, "Check KEYTURN_CONSOLE__URL, and what is in between.")


class _Bearer(httpx.Auth):
    """Signs in with a bearer token, and once more with another one if that is refused."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with a token."""
        token = self._tokens.token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == HTTPStatus.UNAUTHORIZED and (other := self._tokens.instead_of(token)):
            request.headers["Authorization"] = f"Bearer {other}"
            yield request


def _harmless(text: str) -> str:
    """Text that no terminal takes for an order; its lines stay lines."""
    return "".join(c for c in text if c == "\n" or not unicodedata.category(c).startswith("C"))


def _kind(title: str, status: int) -> type[KeyturnError]:
    """The class by its name; of one that only the console has, what is closest."""
    named = getattr(errors, title, None)
    if isinstance(named, type) and issubclass(named, KeyturnError):
        return named
    server = UnavailableError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ConfigurationError
    return _BY_STATUS.get(status, server)
