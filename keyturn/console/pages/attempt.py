"""One attempt: its timeline, its log, its evidence."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from keyturn.console import words
from keyturn.console.evidence_file import evidence_file
from keyturn.console.pages.attempt_view import gather
from keyturn.console.pages.integration_view import run_url
from keyturn.console.pages.known import known_attempt
from keyturn.console.pages.stage_words import STAGES
from keyturn.console.render import page
from keyturn.console.visitor import ports_of

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
    """The attempt as a signed file."""
    ports = ports_of(request)
    return evidence_file(ports, known_attempt(ports, attempt_id))
