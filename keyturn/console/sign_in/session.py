"""The beginning and the end of a session."""

from __future__ import annotations

import secrets
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from keyturn.console.access import ANY_GROUP
from keyturn.console.sign_in.identity import SignInRefusedError
from keyturn.console.visitor import SESSION_COOKIE, ports_of
from keyturn.domain.gate import Person


def begin(request: Request, person: Person, after: str) -> Response:
    """Sign somebody in under a token that nobody has seen before, and send them on.

    Raises:
        SignInRefusedError: they are in no group of keyturn's.
    """
    if not ANY_GROUP.admits(person):
        raise SignInRefusedError(
            person.name, "is in no group of keyturn's", "Ask whoever gives out groups, then sign in again."
        )
    ports, token = ports_of(request), secrets.token_urlsafe(32)
    end(request)
    ports.visits.begin(token, person, ports.clock.now() + timedelta(seconds=ports.settings.console.session_s))
    response = RedirectResponse(after, 303)
    response.set_cookie(SESSION_COOKIE, token, secure=True, httponly=True, samesite="lax")
    return response


def end(request: Request) -> None:
    """End the session of this browser, if it has one."""
    if token := request.cookies.get(SESSION_COOKIE):
        ports_of(request).visits.end(token)


def forget(response: Response) -> None:
    """Have the browser forget its session."""
    response.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="lax")
