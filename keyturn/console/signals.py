"""Health, readiness and metrics: asked for by programs, which follow no redirect and read no page."""

from __future__ import annotations

import asyncio
import hmac

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.responses import Response

from keyturn.console.metrics import CONTENT_TYPE, Counted, Metrics
from keyturn.console.readiness import Readiness, questions
from keyturn.console.visitor import ports_of

router = APIRouter()

_OK, _NOT_READY = 200, 503


def add_to(app: FastAPI) -> None:
    """Have the application count its requests, and ready to say how it is."""
    metrics = app.state.metrics = Metrics(app.state.ports)
    app.state.readiness = Readiness(questions(app.state.ports))
    app.add_middleware(Counted, requests=metrics.requests)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives, and its event loop moves. It takes no thread: those may all wait for a slow dependency."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """Whether requests may be sent here. Why not is in the log: anybody may ask this, from anywhere."""
    readiness: Readiness = request.app.state.readiness
    # Shielded: many wait for the same answer, and one who hangs up must not take it from the others.
    answer = await asyncio.shield(asyncio.wrap_future(readiness.ask()))
    found = {name: "failed" if problem else "ok" for name, problem in answer.problems.items()}
    return JSONResponse({"status": answer.words, "dependencies": found}, _OK if answer.ready else _NOT_READY)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """The fleet and this process in Prometheus' text format, for whoever knows the token."""
    wanted = ports_of(request).settings.console.metrics_token.get_secret_value()
    if not wanted:
        return PlainTextResponse("There are no metrics: KEYTURN_CONSOLE__METRICS_TOKEN is not set.\n", 404)
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), wanted.encode()):
        return PlainTextResponse("Give the metrics token as a bearer token.\n", 401, {"WWW-Authenticate": "Bearer"})
    served: Metrics = request.app.state.metrics
    return Response(served.text(), media_type=CONTENT_TYPE)
