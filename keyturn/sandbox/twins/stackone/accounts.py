"""Linked accounts: how they come to be, what happens to them, and the API that lists them."""

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyturn.sandbox.twins.stackone.errors import ApiError, body_of
from keyturn.sandbox.twins.stackone.provider import TokenAnswer
from keyturn.sandbox.twins.stackone.queries import page_of, values
from keyturn.sandbox.twins.stackone.state import StackOneState, StoredAccount, StoredProfile, StoredSession, new_id
from keyturn.sandbox.twins.stackone.webhooks import Webhooks
from keyturn.sandbox.twins.stackone.wire import LinkedAccount, LinkedAccountV2, PatchAccount, StatusReason
from keyturn.sandbox.twins.store import Store


class Accounts:
    """The accounts of the project. Every change moves `updated_at` and is told to the webhook."""

    def __init__(self, store: Store[StackOneState], webhooks: Webhooks) -> None:
        self._store = store
        self._webhooks = webhooks

    def link(self, session: StoredSession, profile: StoredProfile, tokens: TokenAnswer) -> StoredAccount:
        """Keep the tokens of a consent: on the account the session means, or on a new one."""
        account = self._meant_by(session)
        with self._store.change() as state:
            if account is None:
                account = _new_account(session, profile, tokens, state.now())
                state.accounts.append(account)
                state.count("accounts_created")
                self._webhooks.emit("account.created", account)
                return account
            account.connector_profile_id = profile.public.id
            self.keep_tokens(account, tokens)
            state.count("accounts_relinked")
        self.set_status(account, "active")
        return account

    def keep_tokens(self, account: StoredAccount, tokens: TokenAnswer) -> None:
        """Replace an account's tokens."""
        account.access_token, account.refresh_token = tokens.access_token, tokens.refresh_token
        account.access_ends_at = tokens.ends_at(self._store.state.now())
        account.api_base_url = tokens.api_base_url_for_customer
        self._store.save()

    def set_status(self, account: StoredAccount, status: str, code: str = "", description: str = "") -> None:
        """Change an account's status, with a reason unless it is active."""
        with self._store.change() as state:
            reason = StatusReason(code=code or None, description=description or None, timestamp=state.now())
            account.public.status = status
            account.public.status_reasons = None if status == "active" else [reason]
            account.public.updated_at = state.now()
        self._webhooks.emit("account.updated", account)

    def follow_profile(self, profile: StoredProfile, *, exists: bool = True) -> None:
        """A disabled or deleted profile makes its accounts inactive; an enabled one brings them back."""
        before, after = ("inactive", "active") if exists and profile.public.active else ("active", "inactive")
        for account in self._store.state.accounts:
            if account.connector_profile_id == profile.public.id and account.public.status == before:
                self.set_status(account, after, "profile_inactive")

    async def list_v1(self, request: Request) -> Response:
        """GET /accounts."""
        return self._listed(request, [account.public for account in self._filtered(request)])

    async def list_v2(self, request: Request) -> Response:
        """GET /v2/accounts: with, and filtered by, connector_profile_id."""
        wanted = values(request, "connector_profile_id", "connector_profile_ids")
        accounts = [each for each in self._filtered(request) if not wanted or each.connector_profile_id in wanted]
        return self._listed(request, [_v2(account) for account in accounts])

    async def read(self, request: Request) -> Response:
        """GET /accounts/{id}."""
        return JSONResponse(dump(self.found(request.path_params["account_id"]).public))

    async def patch(self, request: Request) -> Response:
        """PATCH /accounts/{id}; a connector_profile_id moves the account."""
        account = self.found(request.path_params["account_id"])
        changes = (await body_of(request, PatchAccount)).model_dump(exclude_none=True)
        with self._store.change() as state:
            profile_id = changes.pop("connector_profile_id", account.connector_profile_id)
            if state.profile(profile_id) is None:
                raise ApiError(404, "Connector profile not found")
            account.connector_profile_id = profile_id
            account.public = account.public.model_copy(update={**changes, "updated_at": state.now()})
            state.count("accounts_updated")
        self._webhooks.emit("account.updated", account)
        return JSONResponse(dump(account.public))

    async def delete(self, request: Request) -> Response:
        """DELETE /accounts/{id}: the account as it was."""
        account = self.found(request.path_params["account_id"])
        with self._store.change() as state:
            state.accounts.remove(account)
            state.count("accounts_deleted")
        self._webhooks.emit("account.deleted", account)
        return JSONResponse(dump(account.public))

    def found(self, account_id: str) -> StoredAccount:
        """The account, or 404."""
        account = self._store.state.account(account_id)
        if account is None:
            raise ApiError(404, "Account not found")
        return account

    def _meant_by(self, session: StoredSession) -> StoredAccount | None:
        public = session.public
        if public.account_id is not None:
            return self._store.state.account(public.account_id)
        if session.multiple:
            return None
        owner = (public.origin_owner_id, public.origin_owner_name, public.provider)
        same = (each for each in self._store.state.accounts if _owner(each.public) == owner)
        return next(same, None)

    def _filtered(self, request: Request) -> list[StoredAccount]:
        accounts = self._store.state.accounts
        wanted = {
            "provider": values(request, "provider", "providers"),
            "origin_owner_id": values(request, "origin_owner_id", "origin_owner_ids"),
            "id": values(request, "account_ids"),
            "status": values(request, "status"),
        }
        keep = {name: allowed for name, allowed in wanted.items() if allowed}
        return [each for each in accounts if all(getattr(each.public, name) in keep[name] for name in keep)]

    def _listed(self, request: Request, accounts: list[LinkedAccount]) -> Response:
        number, size = page_of(request)
        shown = [dump(account) for account in accounts[(number - 1) * size : number * size]]
        wrapped = self._store.state.options.account_list == "wrapped"
        return JSONResponse({"data": shown} if wrapped else shown)


def dump(model: LinkedAccount) -> dict[str, Any]:
    """An account as JSON, without what is not known."""
    return model.model_dump(mode="json", exclude_none=True)


def _v2(account: StoredAccount) -> LinkedAccount:
    return LinkedAccountV2(**account.public.model_dump(), connector_profile_id=account.connector_profile_id)


def _owner(account: LinkedAccount) -> tuple[str, str, str]:
    return account.origin_owner_id, account.origin_owner_name, account.provider


def _new_account(session: StoredSession, profile: StoredProfile, tokens: TokenAnswer, now: datetime) -> StoredAccount:
    asked = session.public
    public = LinkedAccount(
        id=new_id(),
        provider=profile.public.connector_key,
        provider_name=profile.public.connector_label,
        origin_owner_id=asked.origin_owner_id,
        origin_owner_name=asked.origin_owner_name,
        origin_username=asked.origin_username,
        label=asked.label,
        metadata=asked.metadata,
        type=asked.type,
        created_at=now,
        updated_at=now,
    )
    return StoredAccount(
        public=public,
        connector_profile_id=profile.public.id,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        access_ends_at=tokens.ends_at(now),
        api_base_url=tokens.api_base_url_for_customer,
    )
