"""A sign-in under way, kept in a short-lived cookie of the browser that began it, so that nobody else can end it.

Each has a cookie of its own: somebody may sign in in two tabs at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "__Host-keyturn-sign-in-"
LIFE_S = 600
_LONGEST_PATH = 1500  # a cookie holds about four thousand characters
_MOST = 4  # a browser sends them all with each request, and proxies take only so many bytes of headers


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
            known = json.loads(base64.urlsafe_b64decode(request.cookies[cookie_name(state)]))
            texts = {name: str(known[name]) for name in ("state", "nonce", "verifier")}
            errand = cls(local(known["after"]), **texts)
        except (KeyError, ValueError, TypeError, AttributeError):
            return None
        return errand if hmac.compare_digest(errand.state.encode(), state.encode()) else None

    def keep(self, response: Response) -> None:
        """Have the browser keep it, for no longer than a sign-in takes."""
        value = base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()
        response.set_cookie(cookie_name(self.state), value, max_age=LIFE_S, secure=True, httponly=True, samesite="lax")


def cookie_name(state: str) -> str:
    """What the cookie of one sign-in is called."""
    return f"{COOKIE}{hashlib.sha256(state.encode()).hexdigest()[:8]}"


def forget(request: Request, response: Response, state: str) -> None:
    """Have the browser forget the one that is over, if it has it; another one may be under way in another tab."""
    if (name := cookie_name(state)) in request.cookies:
        _delete(response, name)


def forget_oldest(request: Request, response: Response) -> None:
    """Have the browser keep the new one and a few others: it names those first that it has had for longest."""
    kept = [name for name in request.cookies if name.startswith(COOKIE)]
    for name in kept[: max(0, len(kept) - (_MOST - 1))]:
        _delete(response, name)


def _delete(response: Response, name: str) -> None:
    response.delete_cookie(name, secure=True, httponly=True, samesite="lax")


def local(path: str) -> str:
    """A path of the console's own, or its first page.

    Two slashes lead to another host. Browsers take a backslash for one, and drop tabs and line ends between them.
    """
    unsafe = not path.startswith("/") or path.startswith("//") or "\\" in path
    odd = any(not "!" <= letter <= "~" for letter in path)
    inner = path.startswith(("/sign-", "/signed-"))
    return "/" if unsafe or odd or inner or len(path) > _LONGEST_PATH else path
