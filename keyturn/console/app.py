"""The application: routes, the guard before them, the headers on every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from importlib.resources import files

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from keyturn.console import live, premises, problems, signals, webhooks
from keyturn.console.access import RULES
from keyturn.console.api import routes as api
from keyturn.console.bearers import Bearers
from keyturn.console.hosts import KnownHosts
from keyturn.console.pages import attempt, fleet, gate, inbox, integration
from keyturn.console.sign_in import link, provider
from keyturn.console.sign_in import routes as sign_in
from keyturn.console.visitor import guard
from keyturn.wiring import Ports

Next = Callable[[Request], Awaitable[Response]]

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


def create_app(ports: Ports) -> FastAPI:
    """The console on these ports.

    Raises:
        ConfigurationError: settings that would not be safe together.
        LookupError: a route that no rule covers.
    """
    premises.check(ports.settings.console)
    app = FastAPI(title="keyturn", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(guard)])
    app.state.ports = ports
    app.state.provider = provider.of(ports)
    app.state.bearers = Bearers(ports, app.state.provider)
    for part in (sign_in, link, fleet, inbox, integration, gate, attempt, live, signals, webhooks, api):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=str(files("keyturn.console") / "static")), name="static")
    problems.add_to(app)
    signals.add_to(app)
    app.add_middleware(KnownHosts, hosts=premises.hosts(ports.settings.console))
    app.middleware("http")(_with_headers)
    _require_rules(app)
    return app


async def _with_headers(request: Request, call_next: Next) -> Response:
    response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    provider_of_sign_out = request.app.state.provider.origin if request.app.state.provider else ""
    response.headers["Content-Security-Policy"] = f"{_POLICY} {provider_of_sign_out}".strip()
    is_static = request.url.path.startswith("/static/")
    response.headers.setdefault("Cache-Control", "public, max-age=3600" if is_static else "no-store")
    if request.url.scheme == "https":
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def routes_of(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """Every route, those of routers inside routers too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif inner := getattr(route, "original_router", None):  # what FastAPI keeps of a router that was included
            yield from routes_of(inner.routes)


def _require_rules(app: FastAPI) -> None:
    """Refuse to start with a route that nobody has thought about. The guard would refuse it anyway."""
    served = {(method, route.path) for route in routes_of(app.routes) for method in route.methods or ()}
    if unknown := served - RULES.keys():
        raise LookupError(f"routes without a rule: {sorted(unknown)}")
