"""Requests for other host names are refused: a page elsewhere may make its own name lead here (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Collection

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

PROBED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked for by address, not by name: by orchestrators and by Prometheus. They show nothing of anybody's."""


class KnownHosts:
    """Answers 400 to a request whose host is none of these, unless it is a probe."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._checked = TrustedHostMiddleware(app, allowed_hosts=sorted(hosts), www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        app = self._app if scope.get("path") in PROBED else self._checked
        await app(scope, receive, send)
