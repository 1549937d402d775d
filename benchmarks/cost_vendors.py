"""The outside world of a fleet as far as it is asked anything, counting each request where it arrives."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from uuid import uuid4

import httpx

from keyturn.domain.credential import Credential, CredentialRef, Pointer
from keyturn.domain.integration import IntegrationKey

_SECRET = "right"  # noqa: S105  nobody's
_PAGE = 25


@dataclass
class Counted:
    """How often each was asked."""

    of: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def one(self, whom: str) -> None:
        """Count one more."""
        with self._lock:
            self.of[whom] += 1


@dataclass(frozen=True)
class Vendors(httpx.BaseTransport):
    """StackOne and Gong on the wire, with a profile and an account for each integration; 25 rows to a page."""

    counted: Counted
    profiles: int

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the vendor does."""
        if "generate-customer-token" in request.url.path:
            self.counted.one("Gong")
            pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
            right = pair.endswith(f":{_SECRET}")
            error = {"error": "invalid_grant" if right else "invalid_client"}
            return httpx.Response(400 if right else 401, json=error)
        self.counted.one("StackOne")
        return httpx.Response(200, json=self._said(request))

    def _said(self, request: httpx.Request) -> Any:  # noqa: ANN401  JSON
        path, query = request.url.path, request.url.params
        if path.endswith("/connector_profiles"):
            return _page(0 if query.get("enabled") == "false" else self.profiles, int(query.get("page", 1)))
        if path.endswith("/v2/accounts"):
            name = query["connector_profile_id"].removeprefix("profile-")
            return {"data": [_account(name)], "page": 1, "page_size": _PAGE, "total": 1}
        return _account(path.rsplit("account-", 1)[-1])


@dataclass(frozen=True)
class VaultPairs:
    """Implements `keyturn.ports.SecretStore` for whoever only looks; each method is one request to Vault."""

    counted: Counted

    def pointer(self, key: IntegrationKey) -> Pointer:
        """Version 1 is in use."""
        self.counted.one("Vault")
        return Pointer(CredentialRef(f"{key}/client", 1, "0" * 16))

    def read(self, ref: CredentialRef) -> Credential:
        """The right pair."""
        self.counted.one("Vault")
        return Credential(ref.path, _SECRET)


@contextmanager
def prefect(counted: Counted) -> Iterator[str]:
    """A server that answers as Prefect's API does about runs, all of them suspended; gives the API's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200, _deployment() if "/deployments/" in self.path else _run(self.path.rsplit("/", 1)[-1]))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            if self.path.endswith("/flow_runs/filter"):
                self._answer(200, [_run(name) for name in body["flow_runs"]["id"]["any_"]])
            else:
                self._answer(201, _run(str(uuid4())))

        def _answer(self, status: int, body: object) -> None:
            asked_for_token = "/csrf-token" in self.path
            if not asked_for_token:
                counted.one("Prefect")
            content = json.dumps({"detail": "CSRF protection is disabled."} if asked_for_token else body).encode()
            self.send_response(422 if asked_for_token else status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
    finally:
        server.shutdown()
        server.server_close()


def _page(total: int, number: int) -> dict[str, object]:
    shown = range((number - 1) * _PAGE, min(number * _PAGE, total))
    return {"data": [_profile(n) for n in shown], "page": number, "page_size": _PAGE, "total": total}


def _profile(n: int) -> dict[str, object]:
    name, moment = f"tenant-{n:05d}", "2026-01-01T00:00:00.000Z"
    return {
        "id": f"profile-{name}",
        "name": f"Gong {name}/production",
        "connector_key": "gong",
        "active": True,
        "default": False,
        "created_at": moment,
        "updated_at": moment,
    }


def _account(name: str) -> dict[str, object]:
    return {
        "id": f"account-{name}",
        "provider": "gong",
        "status": "active",
        "origin_owner_id": name,
        "connector_profile_id": f"profile-{name}",
    }


def _run(name: str) -> dict[str, object]:
    moment = datetime.now(UTC).isoformat()
    state = {"id": str(uuid4()), "type": "PAUSED", "name": "Suspended", "timestamp": moment}
    return {"id": name, "flow_id": str(uuid4()), "name": "run", "state": state}


def _deployment() -> dict[str, object]:
    return {"id": str(uuid4()), "name": "onboard", "flow_id": str(uuid4())}
