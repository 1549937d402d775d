"""What a server answered, and which of keyturn's errors that is."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from keyturn.errors import AmbiguousError, KeyturnError, RateLimitedError, UnavailableError, VendorRefusedError

LONGEST_MESSAGE: Final = 300
LONGEST_WAIT_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """One request, before it is sent.

    Attributes:
        target: a path below the vendor's address, or a whole address, to which no credentials are sent.
        reads: a POST that changes nothing, so that asking it again does no harm.
        quotable: whether the vendor's message may be repeated. Not when the body carries a secret it could echo.
        read_timeout_s: seconds of silence to bear; `None` for the vendor's usual.
        company: whose limit it counts against, where a vendor counts by company.
        remedies: what a person does next, by status, where this call knows better than the vendor's usual.
    """

    method: str
    target: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    json: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    reads: bool = False
    quotable: bool = True
    read_timeout_s: float | None = None
    company: str = ""
    remedies: Mapping[int, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Call {self}>"

    def __str__(self) -> str:
        return f"{self.method} {self.target.partition('?')[0]}"

    @property
    def has_effect(self) -> bool:
        """Whether doing it twice differs from doing it once."""
        return not self.reads and self.method not in {"GET", "HEAD"}


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """Status, headers and body. Its `repr` shows neither: bodies hold people and tokens."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body)} bytes>"

    @property
    def fine(self) -> bool:
        """A 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> object:
        """The body as JSON, or `None` when it is something else."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def retry_after_s(self, now: datetime) -> float | None:
        """Seconds the server asks us to wait, from seconds or an HTTP date (RFC 9110 10.2.3); `None` if it does not."""
        text = self.headers.get("retry-after", "").strip()
        seconds = float(text) if text.isascii() and text.isdigit() else _until(text, now)
        return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT_S)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is needed to turn an answer into an error.

    Attributes:
        subject: the server, for messages.
        hidden: texts that never appear in a message, e.g. the API key.
        remedies: what a person does next, by status.
    """

    subject: str
    hidden: tuple[str, ...] = field(default=(), repr=False)
    remedies: Mapping[int, str] = field(default_factory=dict)

    def failure(self, call: Call, answer: Answer, now: datetime) -> KeyturnError | None:
        """The error that the answer is, or `None` for a 2xx.

        429, and 408 with `Retry-After` (how StackOne passes a provider's 429 on): `RateLimitedError`. Other 408 and
        5xx: the server may have begun, so `AmbiguousError` if the call has an effect and `UnavailableError` if not.
        501 and everything else: `VendorRefusedError`.
        """
        if answer.fine:
            return None
        wait_s = answer.retry_after_s(now)
        if _asks_to_wait(answer.status, wait_s):
            problem = f"is asked too often ({call} was answered with {answer.status})"
            return RateLimitedError(self.subject, problem, "Wait; keyturn tries again by itself.", wait_s or 0.0)
        if _may_have_begun(answer.status):
            return self.lost(call, f"failed with {answer.status}", wait_s or 0.0)
        refusal, remedy = self._refusal(call, answer), self._remedy(call, answer.status)
        return VendorRefusedError(self.subject, refusal, remedy, answer.status)

    def lost(self, call: Call, what: str, wait_s: float = 0.0) -> AmbiguousError | UnavailableError:
        """The error of a call that was sent and not answered properly. `what` is a clause about the server."""
        if call.has_effect:
            problem = f"{what} after {call} was sent, so it may or may not have taken effect"
            return AmbiguousError(self.subject, problem, "Look whether it did before asking again.", wait_s)
        return UnavailableError(self.subject, f"{what} ({call})", "Wait; keyturn tries again by itself.", wait_s)

    def _refusal(self, call: Call, answer: Answer) -> str:
        said = presentable(_message(answer.json()), self.hidden) if call.quotable else ""
        return f"answered {call} with {answer.status}" + (f": {said}" if said else "")

    def _remedy(self, call: Call, status: int) -> str:
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return "It leads elsewhere, and credentials are not sent along. Check the address in the settings."
        unknown = "Look the message up in the vendor's documentation, or ask its support."
        return call.remedies.get(status) or self.remedies.get(status, unknown)


def presentable(text: str, hidden: Iterable[str] = ()) -> str:
    """Somebody else's text, made fit for an error: no control characters, nothing hidden, `LONGEST_MESSAGE` at most."""
    for secret in filter(None, hidden):
        text = text.replace(secret, "[hidden]")
    # Category C: control characters, but also those that turn the direction of writing around.
    printable = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    line = " ".join(printable.split())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def _asks_to_wait(status: int, wait_s: float | None) -> bool:
    later = status == HTTPStatus.REQUEST_TIMEOUT and wait_s is not None
    return later or status == HTTPStatus.TOO_MANY_REQUESTS


def _may_have_begun(status: int) -> bool:
    failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    return failed or status == HTTPStatus.REQUEST_TIMEOUT


def _message(payload: object) -> str:
    """The message in StackOne's, Gong's or OAuth's envelope; never `provider_errors`, which quotes requests."""
    match payload:
        case {"message": str(message)}:
            return message
        case {"message": [*parts]} | {"errors": [*parts]}:
            return "; ".join(part for part in parts if isinstance(part, str))
        case {"error": str(code), "error_description": str(description)}:
            return f"{code}: {description}"
        case {"error": str(code)}:
            return code
    return ""


def _until(date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
