"""Metrics for Prometheus.

What is said of the fleet is counted at each scrape from the ledger, so every replica says the same, and a restart
changes nothing. Only what is named `keyturn_http_…` is this process's own. All of them are in a table in
`deployments/prometheus/README.md`.
"""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyturn.console.fleet_metrics import fleet_metrics
from keyturn.errors import KeyturnError
from keyturn.wiring import Ports

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FAILED = 500
_log = logging.getLogger(__name__)


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, ports: Ports) -> None:
        # Otherwise there is a second series for each of ours, which nothing here needs.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self.requests = Requests(self._registry)
        self._registry.register(_FleetCollector(ports))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> bytes:
        """All of them, as they are now."""
        return generate_latest(self._registry)


class Requests:
    """How many requests this process has answered, and how long that took, by the route's template."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "keyturn_http_requests",
            "Requests that this process has answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "keyturn_http_request_duration_seconds",
            "Time until an answer of this process began.",
            ("method", "route"),
            registry=registry,
            buckets=_BUCKETS,
        )

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """One more. Whatever a caller can make up is put into one: each label is kept for as long as the process."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _route_of(scope)
        self._count.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Counted:
    """Counts the requests of an application. A stream counts from its beginning: it may have no end."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI's own
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, begun = time.perf_counter(), False

        def note(status: int) -> None:
            nonlocal begun
            begun = True
            self._requests.answered(scope, status, time.perf_counter() - began)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception:  # counted, and raised again
            if not begun:  # the page that says so is made outside of here
                note(_FAILED)
            raise


def _route_of(scope: Scope) -> str:
    if scope["path"].startswith("/static/"):
        return "/static"
    return str(getattr(scope.get("route"), "path", "none"))


class _FleetCollector(Collector):
    """What the ledger says. While it does not, that is said, and the process's own metrics still come."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def collect(self) -> Iterable[Metric]:
        """Count now."""
        try:
            # Pictures first: they bring up to date what the gauges read.
            pictures = self._ports.fleet.pictures()
            families = list(fleet_metrics(pictures, self._ports.gauges.read()))
        except KeyturnError as error:
            _log.warning("metrics of the fleet are missing: %s", error)
            families = []
        yield Gauge("keyturn_ledger_up", "Whether the ledger could be read for this scrape.", bool(families))
        build = Gauge("keyturn_build_info", "What runs here; always 1.", labels=("version", "python"))
        build.add_metric((version("keyturn"), platform.python_version()), 1)
        yield build
        yield from families
