"""A sign-in under way, kept in a short-lived cookie of the browser that began it, so that nobody else can end it."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "__Host-keyturn-sign-in"
LIFE_S = 600
_LONGEST_PATH = 1500  # a cookie holds about four thousand characters


@dataclass(frozen=True, slots=True)
class Errand:
    """What the browser went to the provider with.

    Attributes:
        after: the page of the console's where it is to end.
        state: comes back with the browser.
        nonce: comes back in the ID token.
        verifier: shows the provider that the code comes from whoever asked for it (PKCE).
    """

    after: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @classmethod
    def to(cls, after: str) -> Errand:
        """A new one, which ends at a page of the console's."""
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        return cls(local(after), state, nonce, verifier)

    @classmethod
    def of(cls, request: Request, state: str) -> Errand | None:
        """The one that this browser began, if what comes back belongs to it."""
        try:
            known = json.loads(base64.urlsafe_b64decode(request.cookies[COOKIE]))
            texts = {name: str(known[name]) for name in ("state", "nonce", "verifier")}
            errand = cls(local(known["after"]), **texts)
        except (KeyError, ValueError, TypeError, AttributeError):
            return None
        return errand if hmac.compare_digest(errand.state.encode(), state.encode()) else None

    def keep(self, response: Response) -> None:
        """Have the browser keep it, for no longer than a sign-in takes."""
        value = base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()
        response.set_cookie(COOKIE, value, max_age=LIFE_S, secure=True, httponly=True, samesite="lax")


def forget(response: Response) -> None:
    """Have the browser forget it."""
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")


def local(path: str) -> str:
    """A path of the console's own, or its first page.

    Two slashes lead to another host. Browsers take a backslash for one, and drop tabs and line ends between them.
    """
    unsafe = not path.startswith("/") or path.startswith("//") or "\\" in path
    odd = any(not "!" <= letter <= "~" for letter in path)
    inner = path.startswith(("/sign-", "/signed-"))
    return "/" if unsafe or odd or inner or len(path) > _LONGEST_PATH else path
