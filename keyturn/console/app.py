"""The application: routes, the guard before them, the headers on every answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from keyturn.console import live, premises, problems, signals, webhooks
from keyturn.console.access import RULES
from keyturn.console.api import routes as api
from keyturn.console.bearers import Bearers
from keyturn.console.failures import Failures
from keyturn.console.headers import Headed
from keyturn.console.hosts import KnownHosts
from keyturn.console.pages import attempt, fleet, gate, inbox, integration
from keyturn.console.sign_in import link, provider
from keyturn.console.sign_in import routes as sign_in
from keyturn.console.small_body import SmallBody
from keyturn.console.visitor import guard
from keyturn.wiring import Ports

_QUESTIONS = 8  # about bearer tokens, at once: each waits for Vault or the provider, and pages have other threads

_LIMITED_BY_THEMSELVES = frozenset({"/webhooks/stackone"})  # reads as the signature needs it


class _Console(FastAPI):
    """An application whose every answer has the headers: also one that the outermost handler of failures makes."""

    def build_middleware_stack(self) -> ASGIApp:
        """The framework's own, and the headers around all of it."""
        url = self.state.ports.settings.console.url
        is_https = url is not None and url.scheme == "https"
        return Headed(super().build_middleware_stack(), is_https=is_https, sign_out=self._sign_out)

    def _sign_out(self) -> str:
        return self.state.provider.origin if self.state.provider else ""


def create_app(ports: Ports) -> FastAPI:
    """The console on these ports.

    Raises:
        ConfigurationError: settings that would not be safe together.
        LookupError: a route that no rule covers, or that reads bodies without end.
    """
    premises.check(ports.settings.console)
    app = _Console(title="keyturn", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(guard)])
    app.state.ports = ports
    app.state.provider = provider.of(ports)
    app.state.failures = Failures(ports)
    app.state.asking = CapacityLimiter(_QUESTIONS)
    app.state.bearers = Bearers(ports, app.state.provider)
    for part in (sign_in, link, fleet, inbox, integration, gate, attempt, live, signals, webhooks, api):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=str(files("keyturn.console") / "static")), name="static")
    problems.add_to(app)
    signals.add_to(app)
    app.add_middleware(KnownHosts, hosts=premises.hosts(ports.settings.console))
    _require_rules(app)
    return app


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
    changing = [route for route in routes_of(app.routes) if (route.methods or set()) - {"GET", "HEAD"}]
    if endless := {r.path for r in changing if not isinstance(r, SmallBody)} - _LIMITED_BY_THEMSELVES:
        raise LookupError(f"routes that read bodies without end: {sorted(endless)}")
