"""The write API for profiles that StackOne may or may not have, in every shape that the options name."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyturn.sandbox.twins.stackone.accounts import Accounts
from keyturn.sandbox.twins.stackone.catalogue import CONNECTORS
from keyturn.sandbox.twins.stackone.errors import ApiError, body_of
from keyturn.sandbox.twins.stackone.options import StackOneOptions
from keyturn.sandbox.twins.stackone.state import ProfileFields, StackOneState, StoredProfile
from keyturn.sandbox.twins.store import Store

Text = Annotated[str, Field(min_length=1)]


class ConnectorProfileUpdate(BaseModel):
    """What a profile can be given besides credentials. Unknown names are refused, as the schema says."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    name: Text | None = None
    scopes: str | None = None
    actions: list[str] | None = None
    active: bool | None = None
    environment: str | None = None

    def fields(self) -> ProfileFields:
        """The change to make."""
        given = self.model_dump(exclude_none=True)
        given |= given.pop("credentials", {})
        return ProfileFields(**{name: value for name, value in given.items() if name in ProfileFields.model_fields})


class _Creation(ConnectorProfileUpdate):
    connector_key: Text
    name: Text
    authentication_config_key: str = "oauth2"


class OAuth2Credentials(BaseModel):
    """The pair, where it is nested."""

    model_config = ConfigDict(extra="forbid")

    client_id: Text
    client_secret: Text


class FlatSnakeUpdate(ConnectorProfileUpdate):
    """client_id and client_secret beside the rest."""

    client_id: Text | None = None
    client_secret: Text | None = None


class FlatSnakeCreate(_Creation, FlatSnakeUpdate):
    """The same for a new profile."""

    name: Text
    client_id: Text
    client_secret: Text


class FlatCamelUpdate(ConnectorProfileUpdate):
    """clientId and clientSecret beside the rest."""

    client_id: Text | None = Field(default=None, alias="clientId")
    client_secret: Text | None = Field(default=None, alias="clientSecret")


class FlatCamelCreate(_Creation, FlatCamelUpdate):
    """The same for a new profile."""

    name: Text
    client_id: Text = Field(alias="clientId")
    client_secret: Text = Field(alias="clientSecret")


class NestedUpdate(ConnectorProfileUpdate):
    """The pair inside `credentials`."""

    credentials: OAuth2Credentials | None = None


class NestedCreate(_Creation, NestedUpdate):
    """The same for a new profile."""

    name: Text
    credentials: OAuth2Credentials


class UnmappableUpdate(ConnectorProfileUpdate):
    """Settings whose names nobody can know."""

    settings: dict[str, Any] | None = None


class UnmappableCreate(_Creation, UnmappableUpdate):
    """The same for a new profile."""

    name: Text


Bodies = tuple[type[_Creation], type[ConnectorProfileUpdate]]

_BODIES: Mapping[str, Bodies] = {
    "flat_snake": (FlatSnakeCreate, FlatSnakeUpdate),
    "flat_camel": (FlatCamelCreate, FlatCamelUpdate),
    "nested": (NestedCreate, NestedUpdate),
}


def bodies(options: StackOneOptions) -> Bodies:
    """The models of POST and PATCH that these options offer."""
    if options.write_api == "unmappable":
        return UnmappableCreate, UnmappableUpdate
    return _BODIES[options.write_fields]


def write_path(options: StackOneOptions) -> str | None:
    """Where profiles can be written; None if nowhere."""
    paths = {"v1": "/connector_profiles", "unmappable": "/connector_profiles", "v2": "/v2/connector_profiles"}
    return paths.get(options.write_api)


class ProfileWrites:
    """POST and PATCH, at the path and with the fields of the day."""

    def __init__(self, store: Store[StackOneState], accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts

    async def create(self, request: Request) -> Response:
        """POST: a new profile, every time it is asked for."""
        self._check_offered(request, request.url.path)
        body = await body_of(request, bodies(self._store.state.options)[0])
        if body.connector_key not in CONNECTORS:
            raise ApiError(400, "Unknown connector_key")
        with self._store.change() as state:
            profile = state.create_profile(body.connector_key, body.fields())
        return JSONResponse(_dump(profile), 201)

    async def update(self, request: Request) -> Response:
        """PATCH: only what is given changes, and `updated_at` as the options say."""
        self._check_offered(request, request.url.path.rpartition("/")[0])
        profile = self._store.state.profile(request.path_params["profile_id"])
        if profile is None:
            raise ApiError(404, "Connector profile not found")
        body = await body_of(request, bodies(self._store.state.options)[1])
        with self._store.change() as state:
            state.change_profile(profile, body.fields())
        self._accounts.follow_profile(profile)
        return JSONResponse(_dump(profile))

    def _check_offered(self, request: Request, collection: str) -> None:
        if write_path(self._store.state.options) != collection:
            raise ApiError(404, f"Cannot {request.method} {request.url.path}")


def _dump(profile: StoredProfile) -> dict[str, Any]:
    return profile.public.model_dump(mode="json", exclude_none=True)
