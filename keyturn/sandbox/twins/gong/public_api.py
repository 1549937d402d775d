"""The slice of Gong's public API that proves a connection: users and workspaces, at the customer's base URL only."""

import base64
import binascii
from datetime import timedelta
from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyturn.sandbox.twins.gong.integration import is_listed
from keyturn.sandbox.twins.gong.refusals import envelope
from keyturn.sandbox.twins.gong.state import CUSTOMER, GongState, Grant
from keyturn.sandbox.twins.limits import Limit, Windows
from keyturn.sandbox.twins.store import Store

PAGE_SIZE = 100
_DAY = int(timedelta(days=1).total_seconds())


class ApiError(Exception):
    """An error that the API answers in Gong's envelope."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


async def api_error(_request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for ApiError."""
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(envelope(error.sentence), error.status, error.headers)


class PublicApi:
    """`/v2/users` and `/v2/workspaces`, with cursor pages, scopes, limits and trusted IPs."""

    def __init__(self, store: Store[GongState], windows: Windows) -> None:
        self._store = store
        self._windows = windows

    def routes(self) -> list[Route]:
        """The API at the customer's base URL, and the refusals everywhere else."""
        base = f"/customers/{CUSTOMER}"
        return [
            Route(f"{base}/v2/users", self.users),
            Route(f"{base}/v2/workspaces", self.workspaces),
            Route(f"{base}/v2/{{rest:path}}", self.nothing),
            Route("/v2/{rest:path}", self.wrong_host),
            Route("/customers/{customer}/v2/{rest:path}", self.wrong_host),
        ]

    async def users(self, request: Request) -> JSONResponse:
        """One page of users; `cursor` leads to the next."""
        self._authorize(request, "api:users:read")
        total = self._store.state.options.users_total
        start = _offset(request.query_params.get("cursor"), total)
        end = min(start + PAGE_SIZE, total)
        records: dict[str, object] = {"totalRecords": total, "currentPageSize": end - start}
        records["currentPageNumber"] = start // PAGE_SIZE
        if end < total:
            records["cursor"] = base64.urlsafe_b64encode(str(end).encode()).decode()
        return _success(records=records, users=[_user(number) for number in range(start, end)])

    async def workspaces(self, request: Request) -> JSONResponse:
        """The company's only workspace."""
        self._authorize(request, "api:workspaces:read")
        return _success(workspaces=[{"id": "623457276584334", "name": "Main", "description": "Everybody"}])

    async def nothing(self, request: Request) -> JSONResponse:
        """An API path that this twin does not have."""
        self._authorize(request, None)
        raise ApiError(404, "Not part of this twin")

    async def wrong_host(self, _request: Request) -> JSONResponse:
        """Calls anywhere but at `api_base_url_for_customer` fail, and not in a helpful way."""
        if self._store.state.options.wrong_host == "revoked":
            raise ApiError(401, "The access token has been revoked")
        raise ApiError(403, "Access denied")

    def _authorize(self, request: Request, scope: str | None) -> None:
        grant = self._grant(request)
        self._check_address(request, grant)
        self._take_call()
        if scope is not None and scope not in grant.scopes:
            raise ApiError(self._store.state.options.missing_scope_status, f"Missing scope: {scope}")

    def _grant(self, request: Request) -> Grant:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self._store.state.access_tokens.get(token)
        if scheme.lower() != "bearer" or grant is None:
            raise ApiError(401, "The access token is invalid")
        if not grant.is_live(self._store.state.now()):
            raise ApiError(401, "The access token has expired")
        return grant

    def _check_address(self, request: Request, grant: Grant) -> None:
        if not self._store.state.options.enforce_trusted_ips:
            return
        client = self._store.state.client(grant.client_id)
        if client is None or request.client is None or not is_listed(request.client.host, client.access_token_ips):
            raise ApiError(403, "The request comes from an IP address that is not trusted")

    def _take_call(self) -> None:
        options = self._store.state.options
        limits = [Limit(options.calls_per_second, 1), Limit(options.calls_per_day, _DAY)]
        wait = self._windows.take(limits, self._store.state.now())
        if wait is not None:
            raise ApiError(429, "Rate limit exceeded", wait)


def _success(**content: object) -> JSONResponse:
    return JSONResponse({"requestId": token_urlsafe(12), **content})


def _offset(cursor: str | None, total: int) -> int:
    if cursor is None:
        return 0
    try:
        offset = int(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError):
        offset = -1
    if not 0 < offset < total:
        raise ApiError(400, "Invalid cursor")
    return offset


def _user(number: int) -> dict[str, object]:
    return {
        "id": str(234_599_484_848_423 + number),
        "emailAddress": f"person{number}@example.com",
        "created": "2026-01-05T09:00:00Z",
        "active": True,
        "firstName": "Person",
        "lastName": str(number),
        "title": "Account executive",
    }
