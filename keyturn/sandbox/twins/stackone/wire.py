"""What goes over the wire; the OpenAPI document is made from these models."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class ConnectorProfile(BaseModel):
    """A connector profile. It has no field for credentials, so none can leak."""

    id: str
    name: str
    connector_key: str
    connector_label: str
    logo_url: str
    categories: list[str]
    active: bool = True
    default: bool
    release_stage: str = "ga"
    created_at: datetime
    updated_at: datetime
    connector_version: str | None = None
    connector_pinned_version: str | None = None
    connector_owner: str | None = "stackone"
    environment: str | None = None
    authentication_config_key: str | None = None
    authentication_config_label: str | None = None


class ConnectorProfilePage(BaseModel):
    """One page of profiles, numbered from 1."""

    page: int
    page_size: int
    total: int
    data: list[ConnectorProfile]


class ConnectorVersion(BaseModel):
    """A version of a profile's connector."""

    version: str
    owner: str
    builtin: bool
    pinned: bool


class PinVersion(BaseModel):
    """Body that pins a version."""

    pinned_version: str
    owner: str | None = None


class PinnedVersion(BaseModel):
    """A pinned version."""

    connector_profile_id: str
    pinned_version: str
    owner: str | None = None
    created_at: datetime
    updated_at: datetime


class ConnectSessionCreate(BaseModel):
    """Body that asks for an auth link."""

    origin_owner_id: str
    origin_owner_name: str
    provider: str | None = None
    connector_profile_id: str | None = None
    account_id: str | None = None
    expires_in: int = 1800
    multiple: bool = False
    label: str | None = None
    metadata: dict[str, Any] | None = None
    type: Literal["production", "test"] | None = None
    origin_username: str | None = None
    categories: list[str] | None = None
    provider_version: str | None = None


class ConnectSessionAuthenticate(BaseModel):
    """Body that exchanges a session's token for the session."""

    token: str


class ConnectionAttempt(BaseModel):
    """How far a person got with the auth link."""

    id: str
    created_at: datetime
    updated_at: datetime
    status: Literal["pending", "authenticated", "error", "cancelled", "expired"] = "pending"
    account_secure_id: str | None = None
    oauth_error_code: str | None = None
    oauth_error_description: str | None = None


class ConnectSession(BaseModel):
    """A connect session, as it can be read again and again."""

    id: int
    organization_id: str
    project_id: str
    origin_owner_id: str
    origin_owner_name: str
    created_at: datetime
    connector_profile_id: str | None = None
    provider: str | None = None
    account_id: str | None = None
    label: str | None = None
    metadata: dict[str, Any] | None = None
    type: str | None = None
    origin_username: str | None = None
    latest_connection_attempt: ConnectionAttempt | None = None


class ConnectSessionTokenAuthLink(ConnectSession):
    """A fresh session, with what is told only once."""

    token: str
    auth_link_url: str


class StatusReason(BaseModel):
    """Why an account is not active."""

    code: str | None = None
    description: str | None = None
    timestamp: datetime


class LinkedAccount(BaseModel):
    """An account that somebody linked."""

    id: str
    provider: str
    provider_name: str | None = None
    status: str = "active"
    status_reasons: list[StatusReason] | None = None
    origin_owner_id: str
    origin_owner_name: str
    origin_username: str | None = None
    label: str | None = None
    metadata: dict[str, Any] | None = None
    type: str | None = None
    created_at: datetime
    updated_at: datetime


class LinkedAccountV2(LinkedAccount):
    """The same in the second version of the API, which also tells the profile."""

    connector_profile_id: str


class PatchAccount(BaseModel):
    """Body that changes an account; a connector_profile_id moves it."""

    connector_profile_id: str | None = None
    origin_owner_id: str | None = None
    origin_owner_name: str | None = None
    origin_username: str | None = None
    label: str | None = None
    metadata: dict[str, Any] | None = None


class ActionsRpc(BaseModel):
    """Body that runs an action."""

    action: str
    path: dict[str, Any] | None = None
    query: dict[str, Any] | None = None
    headers: dict[str, Any] | None = None
    body: dict[str, Any] | None = None


class ActionsRpcResponse(BaseModel):
    """What an action gave."""

    data: Any = None
    next: str | None = None
