"""The twin of Gong as one application."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyturn.sandbox.twins.access import AccessMiddleware
from keyturn.sandbox.twins.control import Control, json_object, refusal
from keyturn.sandbox.twins.faults import FaultMiddleware
from keyturn.sandbox.twins.gong import people
from keyturn.sandbox.twins.gong.admin import AdminCenter
from keyturn.sandbox.twins.gong.consent import Consent
from keyturn.sandbox.twins.gong.public_api import ApiError, PublicApi, api_error
from keyturn.sandbox.twins.gong.refusals import envelope
from keyturn.sandbox.twins.gong.state import GongState
from keyturn.sandbox.twins.gong.token_endpoint import TokenEndpoint
from keyturn.sandbox.twins.limits import Windows
from keyturn.sandbox.twins.pages import page
from keyturn.sandbox.twins.store import Store


@dataclass(frozen=True, kw_only=True)
class GongConfig:
    """How to start a twin of Gong.

    Attributes:
        state: File that keeps the twin's state.
        deliver: Origin in a registered redirect URI -> origin on this machine to which the browser is sent instead.
        options: Switches by name, see GongOptions.
        client_secret: Secret of the next integration to be created, if none has had it yet.
    """

    state: Path
    deliver: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    client_secret: str | None = field(default=None, repr=False)


def create_app(config: GongConfig) -> Starlette:
    """The whole twin. Raises pydantic's ValidationError on an unknown option."""
    store = Store(config.state, GongState, config.options)
    windows = Windows()
    control = Control(store, windows.clear)
    return Starlette(
        routes=[
            Route("/", index),
            *people.routes(),
            *AdminCenter(store, config.client_secret).routes(),
            *Consent(store, config.deliver).routes(),
            *TokenEndpoint(store).routes(),
            *PublicApi(store, windows).routes(),
            *control.routes(),
            Route("/_twin/revoke", revoker(store), methods=["POST"]),
        ],
        lifespan=keeping(store),
        middleware=[
            Middleware(AccessMiddleware, name="gong", count=control.called),
            Middleware(FaultMiddleware, script=control, error_body=lambda _status, sentence: envelope(sentence)),
        ],
        exception_handlers={ApiError: api_error},
    )


def keeping(store: Store[GongState]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """A lifespan that keeps the counters when the twin stops."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        store.save()

    return lifespan


async def index(_request: Request) -> Response:
    """What this is, and where its pages are."""
    links = [("/admin", "Admin center"), ("/admin/ecosystem/api/integrations", "Integrations"), ("/sign-in", "Sign in")]
    control = ["effects", "options", "faults", "clock"]
    return page("index.html", vendor="Gong", links=links, control=control)


class Revocation(BaseModel):
    """Body of POST /_twin/revoke: whose consent is withdrawn; everybody's without a client."""

    model_config = ConfigDict(extra="forbid")

    client_id: str | None = None


def revoker(store: Store[GongState]) -> people.Page:
    """POST /_twin/revoke: the customer withdraws consent, and every token dies, or those of one client."""

    async def revoke(request: Request) -> Response:
        try:
            client_id = Revocation.model_validate(await json_object(request)).client_id
        except ValidationError as error:
            return refusal(error)
        if client_id is not None and store.state.client(client_id) is None:
            return JSONResponse({"errors": ["client_id: no integration has it"]}, 422)
        with store.change() as state:
            state.revoke(client_id)
        return JSONResponse({})

    return revoke
