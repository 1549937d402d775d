"""Gong's token endpoint, asked about a pair with a code that cannot exist (the credential probe).

Gong documents no error bodies for a wrong secret, an unknown client or a bad code, nor whether it looks at the client
or at the code first. So the probe believes only what RFC 6749 5.2 makes unambiguous, and checks that with a control:

===========================  ==========================================  =============================================
answer to the pair           answer to a made-up secret, same client id   outcome
===========================  ==========================================  =============================================
400/401 `invalid_grant`      400/401 `invalid_client`                     valid: the secret is what made the difference
400/401 `invalid_grant`      anything else                                not proven: the code was looked at first, or
                                                                          we cannot tell
401 `invalid_client`         not asked: it would be the same              wrong pair
anything else                not asked                                    not proven
===========================  ==========================================  =============================================

`invalid_client` counts against a pair only with 401: RFC 6749 demands that status when the client signs with HTTP
Basic, and a 400 may come from an endpoint that did not find our parameters. There is no control for it: it would need a
pair known to be right. Whoever knows better than the endpoint switches the probe off.
Nothing else says anything about the pair: neither Gong's own envelope, text, a login page, a 200, nor any refusal that
speaks of IP addresses, whatever its code (integrations have trusted IPs, and ours need not be among them).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from authlib.oauth2.auth import ClientAuth

from keyturn.clients.answer import Answer, Call
from keyturn.clients.budget import Budget
from keyturn.clients.gong.explanation import DISABLED, explanation_of
from keyturn.clients.transport import Count, Transport, Vendor, uncounted
from keyturn.domain.credential import Credential, Probe, ProbeOutcome
from keyturn.domain.manifest import REDIRECT_URI
from keyturn.errors import RateLimitedError, TransientError
from keyturn.ports import Clock, Slots, TokenEndpoint
from keyturn.settings import GongSettings

BOGUS_CODE: Final = "keyturn-credential-probe-this-is-not-a-code"
"""Recognisable in Gong's logs, and no secret."""

_ABOUT_ADDRESSES: Final = re.compile(rb"(?<![a-z])IPs?(?![a-z])|\btrusted\b|(allow|white)[ -]?list", re.IGNORECASE)
_OAUTH_CODES: Final = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)


def token_endpoint(
    settings: GongSettings, clock: Clock, count: Count = uncounted, slots: Slots | None = None
) -> TokenEndpoint:
    """The endpoint of the settings, or the one that asks nobody when the probe is switched off."""
    if not settings.probe:
        return DisabledTokenEndpoint()
    url = str(settings.token_url)
    budget = Budget.gong(settings, clock, slots)
    return GongTokenEndpoint(url, Transport(Vendor("Gong", url), budget, clock, count=count))


class DisabledTokenEndpoint:
    """Implements `TokenEndpoint` by asking nobody."""

    def probe(self, credential: Credential) -> Probe:  # noqa: ARG002  the port's signature
        """Not proven, and why."""
        return Probe(ProbeOutcome.NOT_PROVEN, None, "probe switched off", DISABLED)


class GongTokenEndpoint:
    """Implements `TokenEndpoint` as the module's docstring says.

    Args:
        url: the token endpoint.
        made_up: makes a secret that is surely wrong, for the control.
    """

    def __init__(self, url: str, transport: Transport, made_up: Callable[[], str] = secrets.token_urlsafe) -> None:
        self._url, self._transport, self._made_up = url, transport, made_up

    def probe(self, credential: Credential) -> Probe:
        """Try the pair. Spends nothing and raises nothing for what the endpoint says or fails to say."""
        seen = self._ask(credential.client_id, credential.reveal())
        if seen.refuses_client:
            return seen.as_probe(ProbeOutcome.WRONG_PAIR, "wrong pair")
        if not seen.accepts_client:
            return seen.as_probe(ProbeOutcome.NOT_PROVEN, seen.word)
        control = self._ask(credential.client_id, self._made_up())
        if control.word == "invalid_client":
            return seen.as_probe(ProbeOutcome.VALID, "valid")
        same = control.word == seen.word
        return seen.as_probe(ProbeOutcome.NOT_PROVEN, "code first" if same else "no control")

    def _ask(self, client_id: str, client_secret: str) -> _Seen:
        try:
            answer = self._transport.ask(self._call(client_id, client_secret))
        except UnicodeEncodeError:
            return _Seen(None, "not sendable")
        except RateLimitedError:
            return _Seen(None, "too many requests")
        except TransientError:
            return _Seen(None, "no answer")
        return _Seen(answer.status, _word(answer))

    def _call(self, client_id: str, client_secret: str) -> Call:
        """The exchange in Gong's documented form: query string, empty body, HTTP Basic signed by Authlib."""
        headers: dict[str, str] = {}
        ClientAuth(client_id, client_secret, "client_secret_basic").prepare("POST", self._url, headers, "")
        query = {
            "grant_type": "authorization_code",
            "code": BOGUS_CODE,
            "client_id": client_id,
            "redirect_uri": REDIRECT_URI,
        }
        # What we know of a company here is its client id: one with several integrations has a budget for each.
        return Call("POST", self._url, query, headers=headers, reads=True, quotable=False, company=client_id)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What came back, in a word of ours: the endpoint's own words could quote the secret."""

    status: int | None
    word: str

    @property
    def refuses_client(self) -> bool:
        return self.word == "invalid_client" and self.status == HTTPStatus.UNAUTHORIZED

    @property
    def accepts_client(self) -> bool:
        return self.word == "invalid_grant"

    def as_probe(self, outcome: ProbeOutcome, case: str) -> Probe:
        return Probe(outcome, self.status, self.word, explanation_of(case))


def _word(answer: Answer) -> str:
    """What came back, in a word of ours."""
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "too many requests"
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server error"
    if answer.status < HTTPStatus.BAD_REQUEST:
        return "unexpected success" if answer.fine else "redirect"
    return "address refused" if _ABOUT_ADDRESSES.search(answer.body) else _refusal(answer)


def _refusal(answer: Answer) -> str:
    """An OAuth code, only from a 400 or 401 in the OAuth shape; else what shape the refusal has."""
    match answer.json():
        case {"error": str(code)} if code in _OAUTH_CODES:
            return code if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED) else "refused"
        case {"errors": [*_]}:
            return "Gong's own error"
        case None:
            return "text instead of JSON"
    return "unknown JSON"
