"""Failures as answers: a page for people, `application/problem+json` (RFC 9457) for programs. Never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from keyturn.console.render import page
from keyturn.console.visitor import NotSignedInError
from keyturn.errors import (
    AmbiguousError,
    ConfigurationError,
    CredentialRefusedError,
    KeyturnError,
    NotPermittedError,
    RateLimitedError,
    RefusedError,
    SupersededError,
    TransientError,
    VendorRefusedError,
    WrappingTokenUsedError,
)

_STATUS: tuple[tuple[type[KeyturnError], HTTPStatus], ...] = (
    (NotSignedInError, HTTPStatus.UNAUTHORIZED),
    (NotPermittedError, HTTPStatus.FORBIDDEN),
    (CredentialRefusedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (WrappingTokenUsedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (RefusedError, HTTPStatus.CONFLICT),
    (SupersededError, HTTPStatus.CONFLICT),
    (ConfigurationError, HTTPStatus.BAD_REQUEST),
    (RateLimitedError, HTTPStatus.TOO_MANY_REQUESTS),
    (AmbiguousError, HTTPStatus.GATEWAY_TIMEOUT),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
    (VendorRefusedError, HTTPStatus.BAD_GATEWAY),
)


class NotFoundError(KeyturnError):
    """There is no such page, integration, gate or attempt."""


def status_of(error: KeyturnError) -> int:
    """The HTTP status that says what kind of failure it is."""
    if isinstance(error, NotFoundError):
        return HTTPStatus.NOT_FOUND
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.CONFLICT)


def add_to(app: FastAPI) -> None:
    """Answer failures of the whole application."""
    app.add_exception_handler(KeyturnError, _on_keyturn)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Exception, _on_anything)


def answer(request: Request, error: KeyturnError, status: int | None = None) -> Response:
    """A failure as the caller wants it, under another status than its kind has if one is given."""
    status = status or status_of(error)
    retry = {"Retry-After": str(round(error.retry_after_s) or 5)} if isinstance(error, TransientError) else {}
    if _is_program(request):
        body = {"title": type(error).__name__, "status": status, "subject": error.subject, "detail": error.problem}
        body |= {"type": "about:blank", "remedy": error.remedy}
        challenge = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
        return JSONResponse(body, status, retry | challenge, "application/problem+json")
    if isinstance(error, NotSignedInError) and request.method in ("GET", "HEAD"):
        return RedirectResponse(f"/sign-in?{urlencode({'next': _here(request)})}")
    return page(request, "problem.html", status, retry, error=error)


def _is_program(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/webhooks/", "/live"))


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


async def _on_keyturn(request: Request, error: Exception) -> Response:
    assert isinstance(error, KeyturnError)  # noqa: S101  registered for nothing else
    return answer(request, error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for nothing else
    if error.status_code == HTTPStatus.NOT_FOUND:
        return answer(request, NotFoundError(request.url.path, "is no page here", "Begin at the fleet."))
    problem = KeyturnError(request.url.path, error.detail, "Go back and try again.")
    response = answer(request, problem, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _on_validation(request: Request, error: Exception) -> Response:
    """What does not fit; the values themselves are never repeated: one may be a secret."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for nothing else
    faults = "; ".join(f"{_place(e)}: {e['msg']}" for e in error.errors())
    problem = ConfigurationError(request.url.path, faults, "Correct what is named, and send it again.")
    return answer(request, problem, HTTPStatus.UNPROCESSABLE_ENTITY)


def _place(fault: Mapping[str, Any]) -> str:
    """Where a fault is. What a caller made up is left out: a name that is not ours, a position in a text."""
    made_up = fault["type"] in ("extra_forbidden", "json_invalid")
    return ".".join(map(str, fault["loc"][:-1] if made_up else fault["loc"]))


async def _on_anything(request: Request, error: Exception) -> Response:
    problem = KeyturnError(request.url.path, f"failed inside ({type(error).__name__})", "See the console's log.")
    return answer(request, problem, HTTPStatus.INTERNAL_SERVER_ERROR)
