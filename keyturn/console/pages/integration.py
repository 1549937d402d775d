"""One integration, and what can be done with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from keyturn.console import words
from keyturn.console.pages import actions
from keyturn.console.pages.actions import SAID
from keyturn.console.pages.integration_view import TRAIL_ROWS, gather, run_url
from keyturn.console.pages.known import known_key
from keyturn.console.pages.offers import ONE
from keyturn.console.pages.stage_words import STAGES
from keyturn.console.render import page
from keyturn.console.visitor import person_of, ports_of

router = APIRouter()
router.include_router(actions.router)


@router.get(ONE)
def show(
    request: Request,
    tenant: str,
    environment: str,
    said: str = "",
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """Everything about one integration. StackOne and Gong are not asked for it."""
    ports = ports_of(request)
    key = known_key(ports, tenant, environment)
    view = gather(ports, key, person_of(request), before)
    older = view.trail[-1].seq if len(view.trail) == TRAIL_ROWS else None
    return page(
        request,
        "integration.html",
        view=view,
        told=SAID.get(said),
        before=before,
        older=older,
        run_url=run_url(ports, view.now.attempt),
        vault_url=f"{str(ports.settings.vault.addr).rstrip('/')}/ui/",
        stages=STAGES,
        words=words,
    )
