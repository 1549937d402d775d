"""Faults on demand: the next n calls to X are refused, dropped or left without an answer.

| kind | the client sees | effect |
|---|---|---|
| status | that status with the vendor's error envelope, and Retry-After if given | none; done if `after` |
| drop_before | the connection closed without a byte | none |
| drop_after | the connection closed without a byte | done: the response was lost |
| silence | nothing for `seconds`, then a closed connection | none; done if `after` |
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Fault(BaseModel):
    """A fault for the next `count` requests whose "METHOD /path" matches `match` (shell-style wildcards allowed)."""

    model_config = ConfigDict(extra="forbid")

    match: Annotated[str, Field(min_length=1)]
    kind: Literal["status", "drop_before", "drop_after", "silence"]
    count: Annotated[int, Field(ge=1)] = 1
    status: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after: Annotated[int, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(ge=0)] = 30
    after: bool = False

    def concerns(self, method: str, path: str) -> bool:
        """Whether this fault is meant for such a request. The query string plays no part."""
        return fnmatchcase(f"{method} {path}", self.match)

    @property
    def has_effect(self) -> bool:
        """Whether the request does its work before it goes wrong."""
        return self.kind == "drop_after" or (self.after and self.kind != "drop_before")


class FaultScript(Protocol):
    """Whoever holds the faults still to come."""

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, one use of it spent."""


class FaultMiddleware:
    """Plays the fault script. The control surface itself is never hit."""

    def __init__(self, app: ASGIApp, script: FaultScript, error_body: Callable[[int, str], dict[str, Any]]) -> None:
        self._app = app
        self._script = script
        self._error_body = error_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or play the fault that waits for it."""
        fault = self._fault_for(scope)
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.has_effect:
            await self._app(scope, receive, _nowhere)
        if fault.kind == "status":
            await self._refusal(fault)(scope, receive, send)
            return
        if fault.kind == "silence":
            await _wait_for_disconnect(receive, fault.seconds)
        await _drop(scope, receive)

    def _fault_for(self, scope: Scope) -> Fault | None:
        if scope["type"] != "http" or scope["path"].startswith("/_twin"):
            return None
        return self._script.take(scope["method"], scope["path"])

    def _refusal(self, fault: Fault) -> JSONResponse:
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return JSONResponse(self._error_body(fault.status, "Injected fault"), fault.status, headers)


async def _nowhere(_message: Message) -> None:
    """The response of a call whose answer is to be lost."""


async def _drop(scope: Scope, receive: Receive) -> None:
    # serving.TransportProtocol puts the transport there: ASGI itself has no way to hang up, and an application that
    # returns without an answer makes uvicorn send a 500, which a client could tell from a lost response.
    scope["state"]["transport"].abort()
    await _disconnected(receive)


async def _wait_for_disconnect(receive: Receive, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
