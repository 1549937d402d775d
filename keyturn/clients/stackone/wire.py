"""StackOne's messages as they travel. Fields that keyturn does not need are not even declared, tokens least of all.

Shapes: StackOne's public OpenAPI document (connector profiles, connect sessions, accounts, actions).
"""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from keyturn.clients.answer import Answer
from keyturn.errors import VendorRefusedError


class Inbound(BaseModel):
    """What StackOne sends. Its ids are sometimes numbers; its optional texts are sometimes null."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True, hide_input_in_errors=True)


class Outbound(BaseModel):
    """What keyturn sends. Never a field that StackOne does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Item = TypeVar("Item", bound=Inbound)
Message = TypeVar("Message", bound=BaseModel)
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class Listing(Inbound, Generic[Item]):
    """One page. The specification shows a bare array for accounts, a guide shows `{"data": […]}`; both are read."""

    data: list[Item]
    page: int | None = None
    page_size: int | None = None
    total: int | None = None
    next: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        return {"data": value} if isinstance(value, list) else value


class ConnectorProfile(Inbound):
    """`GET /connector_profiles`."""

    id: str
    name: str
    connector_key: str
    active: bool
    default: bool = False
    created_at: Text = ""
    updated_at: Text = ""


class StatusReason(Inbound):
    """Why an account has its status."""

    code: Text = ""
    description: Text = ""


class LinkedAccount(Inbound):
    """`GET /accounts`; `connector_profile_id` only in `/v2/accounts`."""

    id: str
    provider: str
    status: str
    origin_owner_id: Text = ""
    status_reasons: list[StatusReason] | None = None
    connector_profile_id: str | None = None


class ConnectionAttempt(Inbound):
    """How far a person got with an auth link. `status` is an open set."""

    status: Text = ""
    account_secure_id: Text = ""
    oauth_error_code: Text = ""
    oauth_error_description: Text = ""


class Session(Inbound):
    """`POST /connect_sessions`, and `GET /connect_sessions/{id}`, which has no link."""

    id: str
    auth_link_url: Text = ""
    latest_connection_attempt: ConnectionAttempt | None = None


class Authentication(Inbound):
    """A way of authentication that a connector offers."""

    type: Text = ""
    label: Text = ""
    key: Text = ""


class Action(Inbound):
    """One action of a connector."""

    id: str
    label: Text = ""
    required_scopes: list[str] | None = None


class Connector(Inbound):
    """`GET /actions?include=action_details`: a connector with its actions."""

    key: str
    authentication: list[Authentication] | None = None
    actions: list[Action] | None = None


class NewSession(Outbound):
    """Body of `POST /connect_sessions`."""

    origin_owner_id: str
    origin_owner_name: str
    provider: str
    connector_profile_id: str
    expires_in: int
    type: str
    label: str | None = None
    origin_username: str | None = None


class ActionCall(Outbound):
    """Body of `POST /actions/rpc`."""

    action: str


def read(model: type[Message], answer: Answer, subject: str) -> Message:
    """The answer as a message.

    Raises:
        VendorRefusedError: it has another shape. Fields are named, values are not.
    """
    try:
        return model.model_validate(answer.json())
    except ValidationError as error:
        places = ", ".join(
            sorted({".".join(map(str, e["loc"])) or "all of it" for e in error.errors(include_input=False)})
        )
    raise VendorRefusedError(
        subject,
        f"answered in a shape that keyturn does not know (at {places[:200]})",
        "Check the base URL; if it is right, StackOne's API has changed and keyturn needs an update.",
    )
