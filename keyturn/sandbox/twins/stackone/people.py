"""Who can sign in to the dashboard. No passwords: the twin listens on loopback only."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn.sandbox.twins.pages import local_path, message, page, see_other, text

Page = Callable[[Request], Awaitable[Response]]

SIGN_IN = "/dashboard/sign-in"
_COOKIE = "stackone_twin_person"
_HOME = "/dashboard/connector-profiles"


class Person(NamedTuple):
    """Somebody of the project."""

    key: str
    name: str
    role: str


PEOPLE = {each.key: each for each in (Person("pia", "Pia", "Project Admin"), Person("vik", "Vik", "Viewer"))}


def signed_in(request: Request) -> Person | None:
    """The person whose browser this is."""
    return PEOPLE.get(request.cookies.get(_COOKIE, ""))


def for_members(show: Page) -> Page:
    """Send strangers to the sign-in page first."""

    async def guarded(request: Request) -> Response:
        if signed_in(request) is None:
            return see_other(f"{SIGN_IN}?{urlencode({'next': request.url.path})}")
        return await show(request)

    return guarded


def for_project_admins(show: Page) -> Page:
    """Refuse everybody but a Project Admin."""

    async def guarded(request: Request) -> Response:
        person = signed_in(request)
        if person is not None and person.role != "Project Admin":
            sentence = f"You are signed in as {person.role}. A Project Admin can do this."
            return message("StackOne", "Insufficient permissions", sentence, 403)
        return await show(request)

    return for_members(guarded)


def routes() -> list[Route]:
    """Sign-in and sign-out."""
    return [
        Route(SIGN_IN, sign_in, methods=["GET", "POST"]),
        Route("/dashboard/sign-out", sign_out, methods=["POST"]),
    ]


async def sign_in(request: Request) -> Response:
    """Choose a person; then on to `next`."""
    if request.method == "GET":
        return _sign_in_page(request.query_params.get("next", ""))
    form = await request.form()
    person = PEOPLE.get(text(form, "person"))
    if person is None:
        return _sign_in_page(text(form, "next"), 422)
    response = see_other(local_path(text(form, "next"), _HOME))
    response.set_cookie(_COOKIE, person.key, httponly=True, samesite="lax")
    return response


async def sign_out(_request: Request) -> Response:
    """Forget the person."""
    response = see_other(SIGN_IN)
    response.delete_cookie(_COOKIE)
    return response


def _sign_in_page(target: str, status: int = 200) -> Response:
    people = [(person.key, f"{person.name} ({person.role})") for person in PEOPLE.values()]
    return page("sign_in.html", status, vendor="StackOne", people=people, target=target)
