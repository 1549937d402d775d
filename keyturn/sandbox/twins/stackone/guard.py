"""What every call of the platform API passes first: User-Agent, API key, limit."""

import base64
from collections.abc import Awaitable, Callable
from hmac import compare_digest

from starlette.requests import Request
from starlette.responses import Response

from keyturn.sandbox.twins.limits import Limit, Windows
from keyturn.sandbox.twins.stackone.errors import ApiError
from keyturn.sandbox.twins.stackone.state import StackOneState
from keyturn.sandbox.twins.store import Store

Endpoint = Callable[[Request], Awaitable[Response]]


class Guard:
    """HTTP Basic with the API key as user name and an empty password."""

    def __init__(self, store: Store[StackOneState], windows: Windows, api_key: str) -> None:
        self._store = store
        self._windows = windows
        self._expected = base64.b64encode(f"{api_key}:".encode())

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint behind the guard."""

        async def guarded(request: Request) -> Response:
            self._check(request)
            return await endpoint(request)

        return guarded

    def _check(self, request: Request) -> None:
        if not request.headers.get("user-agent"):
            raise ApiError(403, "Forbidden")
        scheme, _, offered = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or not compare_digest(offered.encode(), self._expected):
            raise ApiError(401, "Unauthorized")
        state = self._store.state
        wait = self._windows.take([Limit(state.options.calls_per_minute, 60)], state.now())
        if wait is not None:
            raise ApiError(429, "Too many requests", wait)
