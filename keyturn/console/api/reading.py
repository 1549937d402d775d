"""What can be read of integrations, gates and attempts."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import Response

from keyturn.console.api import answering, queries
from keyturn.console.api.answering import API, INTEGRATION, Responses, desk_of, reads
from keyturn.console.api.listing import integration_of, page_of
from keyturn.console.api.queries import Key
from keyturn.console.api.shapes import attempts, fleet, kits, looks, questions
from keyturn.console.api.shapes.base import Me
from keyturn.console.evidence_file import MEDIA_TYPE, evidence_file
from keyturn.console.problems import NotFoundError
from keyturn.console.visitor import person_of, ports_of
from keyturn.domain.attempt import Attempt
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import RefusedError
from keyturn.wiring import Ports

router = answering.router()
_SIGNED: Responses = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get(f"{API}/me", responses=reads())
def me(request: Request) -> Me:
    """Whose token this is."""
    return Me.of(person_of(request))


@router.get(f"{API}/integrations", responses=reads())
def integrations(request: Request, response: Response, query: Annotated[queries.Listing, Query()]) -> fleet.Page:
    """Integrations, a page at a time: ask again with `after`, or follow the `Link` header."""
    page = page_of(ports_of(request), query.as_fleet())
    if page.next:
        url = request.url.include_query_params(after=page.next)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return page


@router.get(INTEGRATION, responses=reads())
def integration(request: Request, key: Key, query: Annotated[queries.Detail, Query()]) -> fleet.Integration:
    """One integration. Of one that nobody has ever onboarded, that is what is told."""
    progress = desk_of(request).progress(key, ask_prefect=query.run)
    return integration_of(ports_of(request), key, progress)


@router.get(f"{INTEGRATION}/plan", responses=reads())
def plan(request: Request, key: Key, query: Annotated[queries.Planned, Query()]) -> kits.Plan | kits.RotationPlan:
    """What a run would do, and what is there already. Changes nothing."""
    if query.rotation:
        return desk_of(request).rotation_plan(key, query.terms())
    return desk_of(request).plan(str(key), files=query.files)


@router.get(f"{INTEGRATION}/health", responses=reads())
def health(request: Request, key: Key) -> looks.Health:
    """How the watch left an integration."""
    return looks.Health.of(str(key), ports_of(request).observatory.health(key))


@router.get(f"{API}/manifests", responses=reads())
def manifests(request: Request) -> list[fleet.Filed]:
    """The console's manifests, as far as which integration each is about; lint says more."""
    return [
        fleet.Filed(
            key=str(one.key) if one.key else None,
            file=Path(one.word).name,
            problem=one.fault.problem if one.fault else "",
            remedy=one.fault.remedy if one.fault else "",
        )
        for one in desk_of(request).manifests()
    ]


@router.get(f"{API}/gates", responses=reads())
def gates(request: Request, query: Annotated[queries.Gates, Query()]) -> list[questions.Asked]:
    """The open gates, oldest first."""
    found = desk_of(request).gates(IntegrationKey.parse(query.key) if query.key else None)
    return [gate for gate in found if not query.group or query.group in gate.groups]


@router.get(f"{API}/gates/{{gate_id}}", responses=reads(HTTPStatus.NOT_FOUND))
def gate(request: Request, gate_id: UUID) -> questions.Gate:
    """One gate, whatever its state, with the kit for it."""
    with suppress(RefusedError):
        return desk_of(request).gate(gate_id)
    raise NotFoundError(f"gate {gate_id}", "does not exist", "Look at `keyturn gates` for what is open.")


@router.get(f"{API}/attempts/{{attempt_id}}", responses=reads(HTTPStatus.NOT_FOUND))
def attempt(request: Request, attempt_id: UUID) -> attempts.WholeAttempt:
    """One attempt with its receipts and gates."""
    ports = ports_of(request)
    found = _attempt(ports, attempt_id)
    asked = ports.ledger.gates(key=found.key, only_open=False)
    return attempts.WholeAttempt.of(
        found,
        receipts=[attempts.Done.of(r) for r in ports.ledger.receipts(found.id)],
        gates=[questions.Asked.of(g) for g in asked if g.attempt_id == found.id],
    )


@router.get(
    f"{API}/attempts/{{attempt_id}}/evidence",
    response_class=Response,
    responses=reads(HTTPStatus.NOT_FOUND) | _SIGNED,
)
def evidence(request: Request, attempt_id: UUID) -> Response:
    """One attempt as a signed file (RFC 7515): decisions, receipts, verdict, and its rows of the audit trail."""
    ports = ports_of(request)
    return evidence_file(ports, _attempt(ports, attempt_id))


@router.get(f"{API}/rotations/due", responses=reads())
def due(request: Request) -> list[looks.Due]:
    """The plan of a sweep: which secrets are due, and why the others are not turned now."""
    return desk_of(request).due()


def _attempt(ports: Ports, attempt_id: UUID) -> Attempt:
    with suppress(RefusedError):
        return ports.ledger.attempt(attempt_id)
    raise NotFoundError(f"attempt {attempt_id}", "does not exist", "Copy its id from `keyturn status --json`.")
