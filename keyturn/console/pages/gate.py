"""A gate: what is asked, and answering it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from keyturn.console.pages import gate_answers, gate_intake
from keyturn.console.pages.gate_view import show

router = APIRouter()
router.include_router(gate_answers.router)
router.include_router(gate_intake.router)


@router.get("/gates/{gate_id}")
def look(request: Request, gate_id: str) -> Response:
    """The page of a gate, open or not."""
    return show(request, gate_id)
