"""Routes that read no more of a request's body than a form needs.

FastAPI reads and parses a body before it asks anybody who they are (`keyturn.console.visitor.guard`). So whoever sends
more is refused before that, and `keyturn.console.app` serves no route without such a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import Message

LIMIT = 64 * 1024

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_HANG_UP = {"Connection": "close"}  # otherwise the rest would still be taken, and thrown away


class SmallBody(APIRoute):
    """A route whose body has at most `LIMIT` bytes, whatever its headers say."""

    def get_route_handler(self) -> Handler:
        """The handler, behind the limit."""
        handle = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await handle(Request(request.scope, _again(await _read(request))))

        return limited


async def _read(request: Request) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > LIMIT:
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise _too_large()
    return bytes(body)


def _too_large() -> HTTPException:
    problem = f"is larger than {LIMIT // 1024} kB, so nothing of it was read"
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem, _HANG_UP)


def _again(body: bytes) -> Callable[[], Coroutine[Any, Any, Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
