"""Routes that read no more of a request's body than a form needs. Whoever sends more is refused before it is parsed."""

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


class SmallBody(APIRoute):
    """A route whose body has at most `LIMIT` bytes, whatever its headers say."""

    def get_route_handler(self) -> Handler:
        """The handler, behind the limit."""
        handle = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await handle(Request(request.scope, _again(await _read(request))))

        return limited


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"is larger than {LIMIT // 1024} kB, so nothing of it was read"
            )
    return bytes(body)


def _again(body: bytes) -> Callable[[], Coroutine[Any, Any, Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
