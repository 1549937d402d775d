"""One attempt: its timeline, its log, its evidence."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from keyturn.console import words
from keyturn.console.pages.attempt_view import gather
from keyturn.console.pages.integration_view import run_url
from keyturn.console.pages.known import known_attempt
from keyturn.console.pages.stage_words import STAGES
from keyturn.console.render import page
from keyturn.console.visitor import ports_of
from keyturn.services import evidence as files
from keyturn.services.trail import verify

_ONE = "/attempts/{attempt_id}"

router = APIRouter()


@router.get(_ONE)
def show(request: Request, attempt_id: str) -> Response:
    """Everything about one attempt."""
    ports = ports_of(request)
    attempt = known_attempt(ports, attempt_id)
    view, url = gather(ports, attempt), run_url(ports, attempt)
    return page(request, "attempt.html", view=view, run_url=url, stages=STAGES, words=words)


@router.get(f"{_ONE}/evidence")
def evidence(request: Request, attempt_id: str) -> Response:
    """The attempt as a signed file. The whole audit trail is followed for it, so it may take a while."""
    ports = ports_of(request)
    attempt = known_attempt(ports, attempt_id)
    verified = verify(ports.trail, lambda: ports.anchor)
    payload = files.collect(ports.ledger, ports.trail, ports.clock, verified, attempt.key, attempt.id)
    name = f"evidence-{attempt.key.tenant}-{attempt.key.environment}-{str(attempt.id)[:8]}.jws"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(files.sign(ports.signer, payload) + "\n", headers=headers, media_type="application/jose")
