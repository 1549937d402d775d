"""One log line a request: method, path, status, milliseconds. No query strings, for codes and tokens travel there."""

import logging
from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("keyturn.sandbox.twins.access")


class AccessMiddleware:
    """Logs every request, and has those that met a route counted."""

    def __init__(self, app: ASGIApp, name: str, count: Callable[[str], None]) -> None:
        self._app = app
        self._name = name
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request and note its outcome; "dropped" when no answer was sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: list[int] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            await send(message)

        began = perf_counter()
        try:
            await self._app(scope, receive, noting)
        finally:
            self._note(scope, str(status[0]) if status else "dropped", perf_counter() - began)

    def _note(self, scope: Scope, outcome: str, seconds: float) -> None:
        logger.info("%s %s %s %s %.0fms", self._name, scope["method"], scope["path"], outcome, seconds * 1000)
        route = getattr(scope.get("route"), "path", None)
        if route is not None and not route.startswith("/_twin"):
            self._count(f"{scope['method']} {route}")
