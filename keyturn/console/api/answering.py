"""How the API answers: ETags for what is read, a limit for what is sent, and which failures there can be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Security
from fastapi.security import HTTPBearer
from starlette.responses import Response

from keyturn.console.api.desk import Desk
from keyturn.console.small_body import LIMIT, Handler, SmallBody
from keyturn.console.visitor import ports_of, visitor_of

API = "/api/v1"
INTEGRATION = f"{API}/integrations/{{tenant}}/{{environment}}"
PROBLEM = "application/problem+json"
_KINDS = {
    HTTPStatus.BAD_REQUEST: "A setting, a manifest or the request has to be corrected.",
    HTTPStatus.UNAUTHORIZED: "There is no bearer token, or it is nobody's.",
    HTTPStatus.FORBIDDEN: "This person may not do this.",
    HTTPStatus.NOT_FOUND: "There is no such gate or attempt.",
    HTTPStatus.CONFLICT: "A rule says no, as things stand; nothing was changed.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"More than {LIMIT} bytes were sent.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "What was sent has another shape, or is a pair that cannot be right.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too often; `Retry-After` says in how many seconds to try again.",
    HTTPStatus.BAD_GATEWAY: "Vault, Gong, StackOne or Prefect answered no.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The ledger, Vault, Gong, StackOne or Prefect is away; try again.",
    HTTPStatus.GATEWAY_TIMEOUT: "Something was sent on and not answered: look before asking again.",
}
Responses = dict[int | str, dict[str, Any]]
UNCHANGED: Responses = {304: {"description": "As the sender of `If-None-Match` has it already."}}

_bearer = HTTPBearer(auto_error=False, description="A person's Vault token, or an ID token of the OpenID provider.")


class Answering(SmallBody):
    """A route of the API: what is read has an ETag, and bodies have an end."""

    def get_route_handler(self) -> Handler:
        """The handler, with both around it."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            return _tagged(request, await handle(request))

        return answer


def open_router() -> APIRouter:
    """A router for routes of the API that need nobody."""
    return APIRouter(route_class=Answering, generate_unique_id_function=lambda route: route.name)


def router() -> APIRouter:
    """A router for the others. The scheme here only tells readers; `keyturn.console.access` decides."""
    return APIRouter(
        route_class=Answering, dependencies=[Security(_bearer)], generate_unique_id_function=lambda route: route.name
    )


def reads(*more: HTTPStatus) -> Responses:
    """The failures of a route that reads, and those that it has besides."""
    usual = set(_KINDS) - {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
    return UNCHANGED | documented({*usual, *more})


def acts() -> Responses:
    """The failures of a route that does something."""
    return documented(set(_KINDS) - {HTTPStatus.NOT_FOUND})


def documented(statuses: Iterable[HTTPStatus]) -> Responses:
    """Failures, as the document tells of them."""
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {int(s): {"description": _KINDS[s], "content": content} for s in sorted(statuses)}


def desk_of(request: Request) -> Desk:
    """The desk of whoever is asking: Vault is there with their own token, where that is one of Vault's."""
    visitor, bearers = visitor_of(request), request.app.state.bearers
    return Desk(ports_of(request), lambda: visitor.person, lambda: bearers.vault(visitor.token, visitor.person))


def _tagged(request: Request, response: Response) -> Response:
    """The answer with a strong ETag, or 304 when it is what the caller has already."""
    if request.method != "GET" or response.status_code != HTTPStatus.OK:
        return response
    tag = f'"{hashlib.sha256(response.body).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = {given.strip().removeprefix("W/") for given in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    return response
