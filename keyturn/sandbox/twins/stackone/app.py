"""The twin of StackOne as one application."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyturn.sandbox.twins.access import AccessMiddleware
from keyturn.sandbox.twins.control import Control
from keyturn.sandbox.twins.faults import FaultMiddleware
from keyturn.sandbox.twins.limits import Windows
from keyturn.sandbox.twins.pages import page
from keyturn.sandbox.twins.stackone import people
from keyturn.sandbox.twins.stackone.accounts import Accounts, dump
from keyturn.sandbox.twins.stackone.actions import Actions
from keyturn.sandbox.twins.stackone.connect import Connect
from keyturn.sandbox.twins.stackone.dashboard import Dashboard
from keyturn.sandbox.twins.stackone.errors import ApiError, api_error, body_of, envelope, http_error
from keyturn.sandbox.twins.stackone.guard import Guard
from keyturn.sandbox.twins.stackone.openapi import Specification
from keyturn.sandbox.twins.stackone.profile_writes import ProfileWrites
from keyturn.sandbox.twins.stackone.profiles import Profiles
from keyturn.sandbox.twins.stackone.provider import Provider
from keyturn.sandbox.twins.stackone.sessions import Sessions
from keyturn.sandbox.twins.stackone.state import StackOneState
from keyturn.sandbox.twins.stackone.webhooks import Webhooks
from keyturn.sandbox.twins.store import Store


@dataclass(frozen=True, kw_only=True)
class StackOneConfig:
    """How to start a twin of StackOne.

    Attributes:
        state: File that keeps the twin's state.
        api_key: The project's only API key.
        gong: URL of the Gong twin.
        webhook_url: Where account events go; None for nowhere.
        webhook_secret: Signs the events.
        egress_ip: Local address of the calls to Gong, so that Gong's trusted IPs can tell StackOne from others.
        options: Switches by name, see StackOneOptions.
    """

    state: Path
    api_key: str = field(repr=False)
    gong: str
    webhook_url: str | None = None
    webhook_secret: str = field(default="", repr=False)
    egress_ip: str = "127.0.0.1"
    options: Mapping[str, object] = field(default_factory=dict)


class AccountStatus(BaseModel):
    """Body of POST /_twin/accounts/{id}."""

    model_config = ConfigDict(extra="forbid")

    status: str


class StackOneTwin:
    """The parts of the twin, wired."""

    def __init__(self, config: StackOneConfig) -> None:
        self.store = Store(config.state, StackOneState, config.options)
        self.windows = Windows()
        self.webhooks = Webhooks(self.store, config.webhook_url, config.webhook_secret)
        self.provider = Provider(config.gong, config.egress_ip)
        self.accounts = Accounts(self.store, self.webhooks)
        self.control = Control(self.store, self.windows.clear)
        self.guard = Guard(self.store, self.windows, config.api_key)

    def routes(self) -> list[Route]:
        """Everything the twin answers."""
        return [
            Route("/", index),
            Route("/oas/stackone.json", Specification(self.store).read),
            *self._profile_routes(),
            *self._account_routes(),
            *self._session_and_action_routes(),
            *people.routes(),
            *Dashboard(self.store, self.accounts).routes(),
            *Connect(self.store, self.accounts, self.provider).routes(),
            *self.control.routes(),
            Route("/_twin/accounts/{account_id}", self.set_account_status, methods=["POST"]),
        ]

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Send webhooks while the application lives; then close connections and keep the counters."""
        async with self.webhooks.sending():
            yield
        await self.provider.aclose()
        self.store.save()

    async def set_account_status(self, request: Request) -> Response:
        """POST /_twin/accounts/{id}: something happened to an account."""
        account = self.accounts.found(request.path_params["account_id"])
        wanted = await body_of(request, AccountStatus)
        self.accounts.set_status(account, wanted.status, "set_by_twin")
        return JSONResponse(dump(account.public))

    def _profile_routes(self) -> list[Route]:
        profiles, writes, guard = Profiles(self.store), ProfileWrites(self.store, self.accounts), self.guard
        collection, one = "/connector_profiles", "/connector_profiles/{profile_id}"
        pinned = f"{one}/pinned_version"
        return [
            Route("/auth_configs", guard(profiles.list_all)),
            Route(collection, guard(profiles.list_all), methods=["GET"]),
            Route(f"{one}/versions", guard(profiles.versions)),
            Route(pinned, guard(profiles.pinned), methods=["GET"]),
            Route(pinned, guard(profiles.pin), methods=["PUT"]),
            Route(pinned, guard(profiles.unpin), methods=["DELETE"]),
            *(Route(f"{v}{collection}", guard(writes.create), methods=["POST"]) for v in ("", "/v2")),
            *(Route(f"{v}{one}", guard(writes.update), methods=["PATCH"]) for v in ("", "/v2")),
        ]

    def _account_routes(self) -> list[Route]:
        accounts, guard = self.accounts, self.guard
        return [
            Route("/accounts", guard(accounts.list_v1)),
            Route("/v2/accounts", guard(accounts.list_v2)),
            Route("/accounts/{account_id}", guard(accounts.read), methods=["GET"]),
            Route("/accounts/{account_id}", guard(accounts.patch), methods=["PATCH"]),
            Route("/accounts/{account_id}", guard(accounts.delete), methods=["DELETE"]),
        ]

    def _session_and_action_routes(self) -> list[Route]:
        sessions, guard = Sessions(self.store), self.guard
        actions = Actions(self.store, self.accounts, self.provider)
        return [
            Route("/connect_sessions", guard(sessions.create), methods=["POST"]),
            Route("/connect_sessions/authenticate", guard(sessions.authenticate), methods=["POST"]),
            Route("/connect_sessions/{session_id}", guard(sessions.read)),
            Route("/actions", guard(actions.catalogue)),
            Route("/actions/rpc", guard(actions.rpc), methods=["POST"]),
        ]


def create_app(config: StackOneConfig) -> Starlette:
    """The whole twin. Raises pydantic's ValidationError on an unknown option."""
    twin = StackOneTwin(config)
    return Starlette(
        routes=twin.routes(),
        lifespan=twin.lifespan,
        middleware=[
            Middleware(AccessMiddleware, name="stackone", count=twin.control.called),
            Middleware(FaultMiddleware, script=twin.control, error_body=envelope),
        ],
        exception_handlers={ApiError: api_error, HTTPException: http_error},
    )


async def index(_request: Request) -> Response:
    """What this is, and where its pages are."""
    links = [
        ("/dashboard/connector-profiles", "Connector Profiles"),
        ("/dashboard/accounts", "Accounts"),
        ("/oas/stackone.json", "OpenAPI document"),
    ]
    control = ["effects", "options", "faults", "clock"]
    return page("index.html", vendor="StackOne", links=links, control=control)
