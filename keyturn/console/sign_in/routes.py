"""Sign-in at an OpenID provider, and sign-out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from keyturn.console import problems
from keyturn.console.failures import failures_of
from keyturn.console.render import page
from keyturn.console.sign_in import errand, session
from keyturn.console.sign_in.errand import Errand
from keyturn.console.sign_in.identity import SignInRefusedError
from keyturn.console.sign_in.provider import Provider, presentable
from keyturn.console.small_body import SmallBody
from keyturn.console.visitor import person_of
from keyturn.errors import KeyturnError, TransientError

router = APIRouter(route_class=SmallBody)

After = Annotated[str, Query(alias="next")]
_SIGNED_OUT = "/signed-out"
_BEGIN = "Begin at the sign-in page."


@router.get("/sign-in")
def choose(request: Request, after: After = "") -> Response:
    """Show how one can sign in; with a provider as the only way, go there."""
    console, provider = request.app.state.ports.settings.console, request.app.state.provider
    path = errand.local(after) if after else ""
    begin = f"/sign-in/start?{urlencode({'next': path})}" if path else "/sign-in/start"
    if provider and path and not console.sign_in_links:
        return RedirectResponse(begin, 303)
    name = provider.name if provider else ""
    return page(request, "sign_in.html", begin=begin, provider=name, links=console.sign_in_links)


@router.get("/sign-in/start")
def start(request: Request, after: After = "/") -> Response:
    """Send the browser to the provider."""
    sent = Errand.to(after)
    response = RedirectResponse(_provider(request).authorization_url(sent), 303)
    sent.keep(response)
    errand.forget_oldest(request, response)
    return response


@router.get("/sign-in/callback")
def finish(request: Request, code: str = "", state: str = "", error: str = "", iss: str | None = None) -> Response:
    """Take what the provider sends the browser back with: once, whatever comes of it."""
    failures = failures_of(request)
    try:
        failures.require_few(request, "callback")
        sent = _sent(request, state)
        if error or not code:
            problem = f"did not sign you in ({presentable(error)})"
            raise SignInRefusedError("the provider", problem, _BEGIN)
        response = session.begin(request, _provider(request).person(code, sent, iss), sent.after)
    except KeyturnError as failure:
        if not isinstance(failure, TransientError):  # a provider that is away is nobody's guess
            failures.note(request, "callback")
        response = problems.answer(request, failure)
    errand.forget(request, response, state)
    return response


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session here, and send whoever came from the provider there, to end its session, too."""
    session.end(request)
    response = RedirectResponse(_place_of_sign_out(request) or _SIGNED_OUT, 303)
    session.forget(response)
    return response


@router.get("/signed-out")
def signed_out(request: Request) -> Response:
    """Say that nobody is signed in any more."""
    return page(request, "signed_out.html")


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise problems.NotFoundError("sign-in", "at a provider is not set up here", _BEGIN)
    return provider


def _sent(request: Request, state: str) -> Errand:
    sent = Errand.of(request, state)
    if sent is None:
        raise SignInRefusedError(
            "this sign-in", "was not begun in this browser, or more than ten minutes ago, or is over", _BEGIN
        )
    return sent


def _place_of_sign_out(request: Request) -> str | None:
    provider: Provider | None = request.app.state.provider
    if provider is None or not person_of(request).signed_in.startswith("openid"):
        return None
    try:
        return provider.sign_out_url(_SIGNED_OUT)
    except KeyturnError:  # here the session is over; there it runs out by itself
        return None
