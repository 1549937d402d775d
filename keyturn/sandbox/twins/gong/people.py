"""Who can sign in to the Admin center. No passwords: the twin listens on loopback only."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn.sandbox.twins.pages import local_path, message, page, see_other, text

Page = Callable[[Request], Awaitable[Response]]

_COOKIE = "gong_twin_person"


class Person(NamedTuple):
    """Somebody of the customer's company."""

    key: str
    name: str
    role: str

    @property
    def is_tech_admin(self) -> bool:
        """Only a Tech admin creates and rotates integrations, and gives consent."""
        return self.role == "Tech admin"


PEOPLE = {
    "tessa": Person("tessa", "Tessa", "Tech admin"),
    "bruno": Person("bruno", "Bruno", "Business admin"),
    "rita": Person("rita", "Rita", "Team member"),
}


def signed_in(request: Request) -> Person | None:
    """The person whose browser this is."""
    return PEOPLE.get(request.cookies.get(_COOKIE, ""))


def for_anybody_signed_in(show: Page) -> Page:
    """Send strangers to the sign-in page first."""

    async def guarded(request: Request) -> Response:
        if signed_in(request) is None:
            target = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
            return see_other("/sign-in?" + urlencode({"next": target}))
        return await show(request)

    return guarded


def for_tech_admins(show: Page) -> Page:
    """Refuse everybody but a Tech admin."""

    async def guarded(request: Request) -> Response:
        person = signed_in(request)
        if person is not None and not person.is_tech_admin:
            text_ = f"You are signed in as {person.role}. A Tech admin can do this."
            return message("Gong", "Insufficient permissions", text_, 403)
        return await show(request)

    return for_anybody_signed_in(guarded)


def routes() -> list[Route]:
    """Sign-in and sign-out."""
    return [
        Route("/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
    ]


async def sign_in(request: Request) -> Response:
    """Choose a person; then on to `next`."""
    if request.method == "GET":
        return _sign_in_page(request.query_params.get("next", ""))
    form = await request.form()
    person = PEOPLE.get(text(form, "person"))
    if person is None:
        return _sign_in_page(text(form, "next"), 422)
    response = see_other(local_path(text(form, "next"), "/admin"))
    response.set_cookie(_COOKIE, person.key, httponly=True, samesite="lax")
    return response


async def sign_out(_request: Request) -> Response:
    """Forget the person."""
    response = see_other("/sign-in")
    response.delete_cookie(_COOKIE)
    return response


def _sign_in_page(target: str, status: int = 200) -> Response:
    people = [(person.key, f"{person.name} ({person.role})") for person in PEOPLE.values()]
    return page("sign_in.html", status, vendor="Gong", people=people, target=target)
