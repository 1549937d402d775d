"""Actions: what can be done, and doing it with an account's token at the customer's base URL."""

import asyncio
from collections import defaultdict
from http import HTTPStatus
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyturn.sandbox.twins.stackone.accounts import Accounts
from keyturn.sandbox.twins.stackone.catalogue import CONNECTORS, GONG_ACTIONS, Action, connector_actions
from keyturn.sandbox.twins.stackone.errors import ApiError, body_of
from keyturn.sandbox.twins.stackone.provider import OAuthRefused, Provider
from keyturn.sandbox.twins.stackone.queries import values
from keyturn.sandbox.twins.stackone.state import StackOneState, StoredAccount, StoredProfile
from keyturn.sandbox.twins.stackone.wire import ActionsRpc, ActionsRpcResponse
from keyturn.sandbox.twins.store import Store

_PREFIX = "gong_"
_RETRY_AFTER_SECONDS = 60
_PASSED_ON = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)


class Actions:
    """GET /actions and POST /actions/rpc."""

    def __init__(self, store: Store[StackOneState], accounts: Accounts, provider: Provider) -> None:
        self._store = store
        self._accounts = accounts
        self._provider = provider
        self._refreshing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def catalogue(self, request: Request) -> Response:
        """GET /actions, with `filter[connectors]` and `include=action_details`."""
        wanted = values(request, "filter[connectors]") or set(CONNECTORS)
        details = "action_details" in values(request, "include")
        data = [connector_actions(key, details=details) for key in CONNECTORS if key in wanted]
        return JSONResponse({"data": data})

    async def rpc(self, request: Request) -> Response:
        """POST /actions/rpc for the account in `x-account-id`."""
        call = await body_of(request, ActionsRpc)
        account = self._accounts.found(request.headers.get("x-account-id", ""))
        profile = self._profile(account, request.headers.get("x-connector-profile-id"))
        action = _action(call.action)
        if not profile.allows(action.id):
            raise ApiError(403, f"Action {call.action} is not enabled in the connector profile")
        body = await self._run(action, account, profile, call.query or {})
        self._store.state.count("actions_run")
        cursor = body.get("records", {}).get("cursor")
        answer = ActionsRpcResponse(data=body.get(action.items), next=cursor)
        return JSONResponse(answer.model_dump(exclude_none=True))

    def _profile(self, account: StoredAccount, other_id: str | None) -> StoredProfile:
        profile = self._store.state.profile(other_id or account.connector_profile_id)
        if other_id and (profile is None or profile.public.connector_key != account.public.provider):
            raise ApiError(400, "x-connector-profile-id must name a profile of the same connector")
        if profile is None or not profile.public.active:
            raise ApiError(412, "The integration is not active", errorCode="AccountIntegrationInactiveError")
        if account.public.status == "inactive":
            raise ApiError(412, "The account is not active", errorCode="AccountIntegrationInactiveError")
        return profile

    async def _run(
        self, action: Action, account: StoredAccount, profile: StoredProfile, query: dict[str, Any]
    ) -> dict[str, Any]:
        if self._store.state.now() >= account.access_ends_at:
            await self._refresh(account, profile)
        response = await self._call(action, account, query)
        if response.status_code == HTTPStatus.UNAUTHORIZED and "scope" not in response.text:
            # The provider's clock is its own: its word counts, not what expires_in promised.
            await self._refresh(account, profile)
            response = await self._call(action, account, query)
        if not response.is_success:
            raise _provider_error(response)
        if account.public.status != "active":
            self._accounts.set_status(account, "active")
        body: dict[str, Any] = response.json()
        return body

    async def _call(self, action: Action, account: StoredAccount, query: dict[str, Any]) -> httpx.Response:
        url = self._provider.at_gong(account.api_base_url) + action.path
        parameters = {name: str(value) for name, value in query.items()}
        patience = self._store.state.options.provider_retry_seconds
        try:
            return await self._provider.get(url, account.access_token, parameters, patience)
        except httpx.HTTPError as error:
            raise ApiError(502, f"The provider did not answer: {type(error).__name__}") from None

    async def _refresh(self, account: StoredAccount, profile: StoredProfile) -> None:
        old = account.access_token
        async with self._refreshing[account.public.id]:
            if account.access_token != old:
                return  # somebody else was quicker; a second refresh would spend the new refresh token for nothing
            try:
                tokens = await self._provider.refresh(profile, account.refresh_token)
            except OAuthRefused as refused:
                raise self._refresh_failed(account, refused) from None
            self._accounts.keep_tokens(account, tokens)
            self._store.state.count("refreshes")

    def _refresh_failed(self, account: StoredAccount, refused: OAuthRefused) -> ApiError:
        if refused.passing:
            return ApiError(502, f"The provider gave no tokens: {refused.description}")
        self._accounts.set_status(account, "error", refused.code, refused.description)
        self._store.state.count("refreshes_failed")
        return ApiError(401, "The account's credentials were refused", errorCode="AccountInvalidCredentialsError")


def _action(name: str) -> Action:
    action = GONG_ACTIONS.get(name.removeprefix(_PREFIX)) if name.startswith(_PREFIX) else None
    if action is None:
        raise ApiError(404, f"Unknown action: {name}")
    if not action.path:
        raise ApiError(501, f"This twin does not run {name}")
    return action


def _provider_error(response: httpx.Response) -> ApiError:
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = int(response.headers.get("Retry-After", _RETRY_AFTER_SECONDS))
        return ApiError(408, "The provider's rate limit did not pass in time", wait)
    raw = {"status": status, "url": str(response.url.copy_with(query=None)), "raw": response.text, "headers": {}}
    told = status if status in _PASSED_ON else (502 if response.is_server_error else 400)
    return ApiError(told, f"The provider answered {status}", provider_errors=[raw])
