"""One-time links from the command line, on a loopback address only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from keyturn.console import premises, problems
from keyturn.console.failures import failures_of
from keyturn.console.render import page
from keyturn.console.sign_in import session
from keyturn.console.sign_in.identity import SignInRefusedError
from keyturn.console.small_body import SmallBody
from keyturn.console.visitor import ForgedError, ports_of

router = APIRouter(route_class=SmallBody)
_ANOTHER = "Make another one with `keyturn console link`."


@router.get("/sign-in/link")
def show(request: Request) -> Response:
    """A form for the code. It comes in the link's fragment, which no server sees; the page's script fills it in."""
    _require_alone(request)
    # Browsers say where a form comes from only if the page lets them.
    return page(request, "sign_in_link.html", 200, {"Referrer-Policy": "same-origin"})


@router.post("/sign-in/link")
def redeem(request: Request, code: Annotated[str, Form()] = "") -> Response:
    """Sign in whom the code is for."""
    _require_alone(request)
    _require_own_form(request)
    failures = failures_of(request)
    failures.require_few(request, "link")
    person = ports_of(request).visits.redeem(code.strip())
    if person is None:
        failures.note(request, "link")
        raise SignInRefusedError("this code", "is unknown, used, or older than five minutes", _ANOTHER)
    return session.begin(request, person, "/")


def _require_alone(request: Request) -> None:
    """Answer only a browser on this very machine that comes directly; nothing says that this way exists, otherwise."""
    console = ports_of(request).settings.console
    client = request.client.host if request.client else ""
    forwarded = any(name == "forwarded" or name.startswith("x-forwarded-") for name in request.headers)
    near = premises.is_loopback(console.host) and premises.is_loopback(client)
    if not (console.sign_in_links and near and premises.is_loopback(request.url.hostname or "") and not forwarded):
        raise problems.NotFoundError(request.url.path, "is no page here", "Begin at the sign-in page.")


def _require_own_form(request: Request) -> None:
    """Refuse a form of another page: it would sign somebody in as somebody else, who then sees what they do.

    There is no session yet that a token could be made from; the browser itself says where the form was.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = site == "same-origin" if site else origin in (None, f"{request.url.scheme}://{request.url.netloc}")
    if not own:
        raise ForgedError("this form", "is not the console's own", "Open the link that the command printed.")
