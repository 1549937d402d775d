"""The one seam where httpx becomes keyturn: requests go out here, and every failure comes back as one of ours.

::

    httpx says                                   a call that reads      a call with an effect
    no connection, no free one, proxy down       UnavailableError       UnavailableError        nothing was sent
    silence, broken connection, garbled answer   UnavailableError       AmbiguousError          sent, not answered
    not sendable: bad address, bad header        ConfigurationError     ConfigurationError

    the server answers                           see `keyturn.clients.answer.Reading.failure`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from importlib.metadata import version
from types import TracebackType
from typing import Final, Self

import httpx

from keyturn.clients.answer import Answer, Call, Reading, presentable
from keyturn.clients.budget import Budget
from keyturn.domain.gauges import CallOutcome
from keyturn.errors import ConfigurationError, KeyturnError, UnavailableError
from keyturn.ports import Clock


class Meaning(Enum):
    """What a failure of httpx says about the request."""

    NOT_SENT = auto()
    LOST = auto()
    UNSENDABLE = auto()


MEANINGS: Final[Mapping[type[Exception], Meaning]] = {
    httpx.ConnectError: Meaning.NOT_SENT,
    httpx.ConnectTimeout: Meaning.NOT_SENT,
    httpx.PoolTimeout: Meaning.NOT_SENT,
    httpx.ProxyError: Meaning.NOT_SENT,
    httpx.UnsupportedProtocol: Meaning.UNSENDABLE,
    httpx.InvalidURL: Meaning.UNSENDABLE,
    httpx.LocalProtocolError: Meaning.UNSENDABLE,
    httpx.ReadError: Meaning.LOST,
    httpx.ReadTimeout: Meaning.LOST,
    httpx.WriteError: Meaning.LOST,  # how much of it had arrived is not known
    httpx.WriteTimeout: Meaning.LOST,
    httpx.CloseError: Meaning.LOST,
    httpx.RemoteProtocolError: Meaning.LOST,
    httpx.DecodingError: Meaning.LOST,
    httpx.TooManyRedirects: Meaning.LOST,
    # The classes above those: only what httpx may add below them gets here, and LOST is the careful reading.
    httpx.NetworkError: Meaning.LOST,
    httpx.ProtocolError: Meaning.LOST,
    httpx.TimeoutException: Meaning.LOST,
    httpx.TransportError: Meaning.LOST,
    httpx.RequestError: Meaning.LOST,
    httpx.HTTPError: Meaning.LOST,
}


@dataclass(frozen=True, slots=True)
class Vendor:
    """Whom to call and how to sign.

    Attributes:
        hidden: texts that must never appear in a message, e.g. the API key.
        remedies: what a person does next, by HTTP status.
        read_timeout_s: seconds of silence to bear once a request is sent.
    """

    name: str
    base_url: str
    auth: httpx.Auth | None = field(default=None, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    remedies: Mapping[int, str] = field(default_factory=dict, repr=False)
    read_timeout_s: float = 30.0


_LEAVES: Final = "http11.send_request_headers.started"

Count = Callable[[str, CallOutcome], None]
"""Told of a request: the vendor's name in lower case, and what became of it."""

_FAILURES: Final[Mapping[Meaning, CallOutcome]] = {
    Meaning.NOT_SENT: CallOutcome.NOT_SENT,
    Meaning.UNSENDABLE: CallOutcome.NOT_SENT,
    Meaning.LOST: CallOutcome.LOST,
}


def uncounted(vendor: str, outcome: CallOutcome) -> None:
    """Nobody wants to know."""


class Transport:
    """Calls one vendor within its budget. Thread-safe. Follows no redirect and retries nothing.

    Args:
        wire: what carries the requests; httpx's own unless a test has something else.
        count: told of every request what became of it.
    """

    def __init__(
        self,
        vendor: Vendor,
        budget: Budget,
        clock: Clock,
        wire: httpx.BaseTransport | None = None,
        *,
        count: Count = uncounted,
    ) -> None:
        self._vendor, self._budget, self._clock, self._count = vendor, budget, clock, count
        self._http = httpx.Client(
            headers={"User-Agent": f"keyturn/{version('keyturn')}", "Accept": "application/json"},
            follow_redirects=False,
            transport=wire,
        )
        self._reading = Reading(self.subject, vendor.hidden, vendor.remedies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def subject(self) -> str:
        """The vendor and its host, as errors name it."""
        return f"{self._vendor.name} at {_host(self._vendor.base_url)}"

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def fetch(self, call: Call) -> Answer:
        """Send the call and return its 2xx answer.

        Raises:
            TransientError: trying again helps; `AmbiguousError` if it may have taken effect already.
            VendorRefusedError: a definite no, with status and the vendor's own message.
            ConfigurationError: it cannot be sent at all.
        """
        return self.expect(call, self.ask(call))

    def ask(self, call: Call) -> Answer:
        """Send the call and return the answer, whatever its status. Raises only if there is none (see `fetch`)."""
        leave_by = self._budget.acquire(call.company)
        answer = self._exchange(call, leave_by)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._budget.pause(answer.retry_after_s(self._clock.now()) or 0.0, call.company)
        return answer

    def expect(self, call: Call, answer: Answer) -> Answer:
        """Return a 2xx answer; raise what any other one means."""
        failure = self.failure(call, answer)
        if failure:
            raise failure
        return answer

    def failure(self, call: Call, answer: Answer) -> KeyturnError | None:
        """What an answer means, without raising it."""
        return self._reading.failure(call, answer, self._clock.now())

    def _exchange(self, call: Call, leave_by: float) -> Answer:
        try:
            response = self._http.send(self._request(call, leave_by), auth=self._auth(call))
        except tuple(MEANINGS) as error:
            self._count(self._vendor.name.lower(), _FAILURES[_meaning_of(error)])
            failure = self._failure_of(call, error)
        else:
            self._count(self._vendor.name.lower(), _outcome_of(response.status_code))
            return Answer(response.status_code, response.headers, response.content)
        # Raised here and not above, so that it does not drag along httpx's error, which holds the request's headers.
        raise failure

    def _request(self, call: Call, leave_by: float) -> httpx.Request:
        local = not _is_whole(call.target)
        return self._http.build_request(
            call.method,
            self._vendor.base_url.rstrip("/") + call.target if local else call.target,
            params=dict(call.query) or None,
            json=call.json,
            headers=dict(call.headers),
            timeout=httpx.Timeout(10.0, connect=5.0, read=call.read_timeout_s or self._vendor.read_timeout_s),
            extensions={"trace": self._confirming(call, leave_by)},
        )

    def _confirming(self, call: Call, leave_by: float) -> Callable[[str, Mapping[str, object]], None]:
        """Told by httpx of each step: once connected and before anything is sent, the slot must still be good."""

        def trace(event: str, _: Mapping[str, object]) -> None:
            if event == _LEAVES:
                self._budget.confirm(leave_by, call.company)

        return trace

    def _auth(self, call: Call) -> httpx.Auth | None:
        return None if _is_whole(call.target) else self._vendor.auth

    def _failure_of(self, call: Call, error: Exception) -> KeyturnError:
        meaning = _meaning_of(error)
        where = f"{self._vendor.name} at {_host(call.target)}" if _is_whole(call.target) else self.subject
        if meaning is Meaning.LOST:
            silent = isinstance(error, httpx.TimeoutException)
            return Reading(where).lost(call, "gave no answer in time" if silent else "dropped the connection")
        if meaning is Meaning.NOT_SENT:
            problem = f"cannot be reached ({presentable(str(error)) or type(error).__name__})"
            return UnavailableError(where, problem, "Check network, address, proxy and certificates; then try again.")
        # The text of these errors quotes headers, so it stays out.
        return ConfigurationError(where, f"cannot be asked: {type(error).__name__}", "Check its address and API key.")


def _meaning_of(error: Exception) -> Meaning:
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)


def _outcome_of(status: int) -> CallOutcome:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return CallOutcome.RATE_LIMITED
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return CallOutcome.FAILED
    return CallOutcome.OK if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES else CallOutcome.REFUSED


def _is_whole(target: str) -> bool:
    return target.startswith(("https://", "http://"))


def _host(url: str) -> str:
    """Host and port; a user name or password in the address must not be shown."""
    return url.partition("//")[2].partition("/")[0].rpartition("@")[2]
