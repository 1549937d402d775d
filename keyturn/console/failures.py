"""Clients whose tries fail too often have to wait. What succeeds is never counted: a busy address is no attack."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock

from starlette.requests import Request

from keyturn.errors import RateLimitedError
from keyturn.wiring import Ports

TRIES, WINDOW_S = 30, 300.0
_MOST = 1000


class Failures:
    """Failed tries of each client. The ledger counts them for all replicas; each remembers by itself who has to wait.

    So whoever has to wait costs nothing more, and a replica that has not heard of it lets them fail once.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports, self._lock = ports, Lock()
        self._waits: OrderedDict[str, datetime] = OrderedDict()

    def require_few(self, request: Request, what: str) -> None:
        """Let a client try, or not.

        Raises:
            RateLimitedError: it failed too often lately.
        """
        with self._lock:
            until = self._waits.get(_bucket(request, what))
        if until is not None and self._ports.clock.now() < until:
            raise RateLimitedError(
                "sign-in", "failed too often from here", "Wait five minutes, then try again.", WINDOW_S
            )

    def note(self, request: Request, what: str) -> None:
        """Count one more that failed."""
        bucket = _bucket(request, what)
        if self._ports.visits.tries(bucket, WINDOW_S) < TRIES:
            return
        with self._lock:
            self._waits[bucket] = self._ports.clock.now() + timedelta(seconds=WINDOW_S)
            self._waits.move_to_end(bucket)
            if len(self._waits) > _MOST:
                self._waits.popitem(last=False)


def failures_of(request: Request) -> Failures:
    """The application's own."""
    failures: Failures = request.app.state.failures
    return failures


def _bucket(request: Request, what: str) -> str:
    return f"sign-in/{what}/{_client(request)}"


def _client(request: Request) -> str:
    """Where it comes from; of IPv6 the network, since whoever has one address there has as many as they like."""
    host = request.client.host if request.client else "nowhere"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address) or address.ipv4_mapped:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False))
