"""Who is at the other end of a request, and whether that may be. Runs before every handler (`guard`)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from keyturn.console.access import RULES, Door, Rule
from keyturn.console.failures import failures_of
from keyturn.domain.gate import Person
from keyturn.errors import KeyturnError, NotPermittedError
from keyturn.wiring import Ports

SESSION_COOKIE = "__Host-keyturn"
CSRF_FIELD = "csrf"
FOLLOWS = "Keyturn-Follows"
_SAFE = frozenset({"GET", "HEAD"})


class NotSignedInError(KeyturnError):
    """Nobody is signed in, or no longer."""


class ForgedError(NotPermittedError):
    """A change that no form of the console's own asked for."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person at the console.

    Attributes:
        token: of the session's cookie, or a bearer token; empty for nobody.
    """

    person: Person
    token: str = field(repr=False, default="")

    @property
    def csrf(self) -> str:
        """What every form of this session carries: made from the cookie, so that only its holder's pages have it."""
        return hmac.new(self.token.encode(), b"keyturn form", hashlib.sha256).hexdigest()


def ports_of(request: Request) -> Ports:
    """The application's ports."""
    ports: Ports = request.app.state.ports
    return ports


def visitor_of(request: Request) -> Visitor:
    """Who is asking, once `guard` has let them in."""
    visitor: Visitor = request.state.visitor
    return visitor


def person_of(request: Request) -> Person:
    """The person who is asking."""
    return visitor_of(request).person


async def guard(request: Request) -> None:
    """Let a request through, or not.

    Raises:
        NotSignedInError: a route that needs somebody, and there is nobody.
        NotPermittedError: this person may not, or the form is not one of ours.
    """
    rule = RULES[request.method.replace("HEAD", "GET"), request.scope["route"].path]
    if rule.door is Door.SESSION:
        await _by_session(request, rule)
    elif rule.door is Door.BEARER:
        await _by_bearer(request, rule)


async def _by_session(request: Request, rule: Rule) -> None:
    token = request.cookies.get(SESSION_COOKIE, "")
    ports = ports_of(request)
    idle_s = ports.settings.console.idle_s
    counts = not _follows(request)
    session = await run_in_threadpool(ports.visits.visit, token, idle_s, counts=counts) if token else None
    if session is None:
        raise NotSignedInError("you", "are not signed in, or no longer", "Sign in; nothing was done.")
    visitor = request.state.visitor = Visitor(session.person, token)
    if request.method not in _SAFE:
        given = (await request.form()).get(CSRF_FIELD)
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), visitor.csrf.encode()):
            raise ForgedError("this form", "was not made for you", "Load the page again, and press the button there.")
    _require(rule, visitor.person)


def _follows(request: Request) -> bool:
    """Whether a page that is left open asks by itself: nobody is there for that, and so no session lives on by it."""
    return request.url.path == "/live" or FOLLOWS in request.headers


async def _by_bearer(request: Request, rule: Rule) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedInError("you", "sent no bearer token", "Send a Vault token or an ID token.")
    token = token.strip()
    person = request.app.state.bearers.known(token) or await _asked(request, token)
    request.state.visitor = Visitor(person, token)
    _require(rule, person)


async def _asked(request: Request, token: str) -> Person:
    """Whose token it is, after a question to whoever gave it out. Those wait for each other, and for no page."""
    return await anyio.to_thread.run_sync(_ask, request, token, limiter=request.app.state.asking)


def _ask(request: Request, token: str) -> Person:
    failures = failures_of(request)
    failures.require_few(request, "bearer")
    try:
        person: Person = request.app.state.bearers.person(token)
    except NotSignedInError:
        failures.note(request, "bearer")
        raise
    return person


def _require(rule: Rule, person: Person) -> None:
    if rule.admits(person):
        return
    wanted = ", ".join(sorted(rule.groups)) or ("a group that may act" if rule.acting else "any group of keyturn's")
    raise NotPermittedError(
        person.name, f"may not do this: it takes {wanted}", "Ask whoever gives out groups, then sign in again."
    )
