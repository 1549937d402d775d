"""The headers of every answer, also of one that says that something failed inside."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
_HTTPS_ONLY = "max-age=31536000"


class Headed:
    """Puts the headers on what an application answers.

    Args:
        is_https: whether browsers come by https, whatever the way from a proxy to here is.
        sign_out: where else a form may lead: to the provider, which ends its own session.
    """

    def __init__(self, app: ASGIApp, *, is_https: bool, sign_out: Callable[[], str]) -> None:
        self._app, self._is_https, self._sign_out = app, is_https, sign_out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI's own
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, sent)

    def _add(self, headers: MutableHeaders, path: str) -> None:
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers["Content-Security-Policy"] = f"{_POLICY} {self._sign_out()}".strip()
        headers.setdefault("Cache-Control", "public, max-age=3600" if path.startswith("/static/") else "no-store")
        if self._is_https:
            headers["Strict-Transport-Security"] = _HTTPS_ONLY
