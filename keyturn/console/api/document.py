"""The API's own description, and how a command gets a token: what anybody may read."""

from __future__ import annotations

import functools
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import Request
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from keyturn.console.api import acting, answering, reading
from keyturn.console.api.answering import API, UNCHANGED, documented
from keyturn.console.api.shapes.base import Problem, SignIn
from keyturn.console.visitor import ports_of

router = answering.open_router()
_ABOUT = """\
Everything that keyturn's pages show and do, under the same permissions.

Every GET has an `ETag` and heeds `If-None-Match`. Failures are problem details (RFC 9457) with `subject` and `remedy`.
Moments are in ISO 8601 with their zone. Asking for an onboarding or a rotation twice gives the same attempt.
"""


@router.get(f"{API}/openapi.json", responses=UNCHANGED)
def openapi() -> dict[str, Any]:
    """This document."""
    return description()


@router.get(f"{API}/sign-in", responses=UNCHANGED | documented([HTTPStatus.SERVICE_UNAVAILABLE]))
def sign_in(request: Request) -> SignIn:
    """Where a command gets a token."""
    settings = ports_of(request).settings
    oidc = settings.console.oidc
    issuer = str(oidc.issuer) if oidc.issuer and oidc.cli_client_id else None
    return SignIn(issuer=issuer, client_id=oidc.cli_client_id or None, vault_addr=str(settings.vault.addr))


@functools.cache
def description() -> dict[str, Any]:
    """The OpenAPI document of the API, and of nothing else."""
    routes: list[BaseRoute] = [*router.routes, *reading.router.routes, *acting.router.routes]
    made = get_openapi(title="keyturn", version=version("keyturn"), description=_ABOUT, routes=routes)
    made["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    return made
