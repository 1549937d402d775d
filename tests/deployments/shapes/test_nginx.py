"""nginx.conf, tried with nginx itself, and with a console, a Prefect and an OpenBao played by small servers."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from keyturn.sandbox.ports import free_port
from tests.deployments.shapes_of import DEPLOYMENTS, program, read_yaml

FOLDER = DEPLOYMENTS / "compose"
TOLD = (FOLDER / "nginx.conf").read_text()
_POLL_S = 0.02
BEHIND = re.findall(r"^\s+server ([\w-]+):(\d+)", TOLD, re.MULTILINE)


@dataclass
class Behind:
    """What the servers behind nginx were asked, each request by its server's name."""

    ports: dict[str, int] = field(default_factory=dict)
    servers: dict[str, ThreadingHTTPServer] = field(default_factory=dict)
    lines: dict[str, list[socket.socket]] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def add(self, name: str, certificate: Path | None = None) -> None:
        """Start one; with TLS if there is a certificate."""
        behind = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                behind.lines[name].append(self.connection)

            def do_GET(self) -> None:
                behind.asked.append((name, self.path, {k.lower(): v for k, v in self.headers.items()}))
                if self.headers.get("Upgrade") == "websocket":
                    self.wfile.write(
                        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
                    )
                    self.wfile.write(self.rfile.read(4))
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.ports[name], self.servers[name] = server.server_address[1], server
        threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True).start()

    def stop(self, name: str) -> None:
        """Let it be gone: nobody listens there any more, and lines that were open are cut."""
        server = self.servers.pop(name)
        server.shutdown()
        server.server_close()
        for line in self.lines.pop(name, ()):
            with suppress(OSError):  # it was cut by the other end
                line.shutdown(socket.SHUT_RDWR)


@dataclass
class Front:
    """A running nginx.

    Attributes:
        https, prefect, openbao: the ports that compose.yaml publishes, and those for the other containers.
    """

    https: int
    prefect: int
    openbao: int
    folder: Path
    behind: Behind

    def get(self, host: str, path: str = "/", **headers: str) -> http.client.HTTPResponse:
        """Ask it over TLS, by a name, as a browser does."""
        return self._ask(self.https, host, path, headers)

    def vault(self, path: str = "/v1/sys/health", body: bytes = b"") -> http.client.HTTPResponse:
        """Ask the OpenBaos as a worker does."""
        return self._ask(self.openbao, "openbao", path, {}, body)

    def post(self, host: str, path: str, body: bytes) -> http.client.HTTPResponse:
        """Send it something over TLS, by a name."""
        return self._ask(self.https, host, path, {}, body)

    def _ask(
        self, port: int, host: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> http.client.HTTPResponse:
        context = ssl.create_default_context(cafile=str(self.folder / "secrets" / "ca.pem"))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            line = context.wrap_socket(plain, server_hostname=host)
            lines = [
                f"{'POST' if body else 'GET'} {path} HTTP/1.1",
                f"Host: {host}",
                f"Content-Length: {len(body)}",
                "Connection: close",
                *(f"{k}: {v}" for k, v in headers.items()),
            ]
            line.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            answer = http.client.HTTPResponse(line)
            answer.begin()
            answer.text = answer.read().decode()  # type: ignore[attr-defined]  read while the line is open
            line.close()
            return answer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that secrets.sh makes."""
    folder = tmp_path_factory.mktemp("made")
    told = {"SECRETS_FOLDER": str(folder), "PATH": os.environ["PATH"]}
    subprocess.run([FOLDER / "secrets.sh", "example.com"], env=told, check=True)
    return folder / "secrets"


@pytest.fixture
def front(made: Path, tmp_path: Path) -> Iterator[Front]:
    """The file as it is, but for paths, ports and where the others are."""
    shutil.copytree(made, tmp_path / "secrets")
    behind = Behind()
    for name, _ in BEHIND:
        behind.add(name, tmp_path / "secrets" / "openbao.pem" if name.startswith("openbao") else None)
    running = Front(free_port(), free_port(), free_port(), tmp_path, behind)
    file = _copy(running)
    with (tmp_path / "log").open("wb") as log:
        command = [program("nginx"), "-p", str(tmp_path), "-e", "stderr", "-c", str(file), "-g", "daemon off;"]
        process = subprocess.Popen(command, stderr=log)
    try:
        _wait_for(running, process)
        yield running
    finally:
        process.terminate()
        process.wait(10)
        for name in list(behind.servers):
            behind.stop(name)


def _copy(front: Front) -> Path:
    changed = TOLD.replace("/run/secrets/", f"{front.folder}/secrets/").replace("/tmp/nginx", f"{front.folder}/nginx")  # noqa: S108
    changed = changed.replace("/dev/stdout", str(front.folder / "access.log"))
    for name, port in BEHIND:
        changed = changed.replace(f"server {name}:{port}", f"server 127.0.0.1:{front.behind.ports[name]}")
    ports = {
        "8443": front.https,
        "4200": front.prefect,
        "8200": front.openbao,
        "8080": free_port(),
        "127.0.0.1:8081": free_port(),
    }
    for port, own in ports.items():
        changed = re.sub(rf"listen {port}\b", f"listen 127.0.0.1:{own}", changed)
    file = front.folder / "nginx.conf"
    file.write_text(changed)
    return file


def _wait_for(front: Front, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", front.https), timeout=1).close()
        except OSError:
            continue
        return
    pytest.fail((front.folder / "log").read_text())


def test_each_name_leads_to_its_servers(front: Front) -> None:
    """And one that is none of ours does not even get a certificate."""
    for name in ("console", "prefect", "grafana"):
        assert front.get(f"{name}.example.com").text.startswith(name)  # type: ignore[attr-defined]
    assert front.get("vault.example.com").text.startswith("openbao")  # type: ignore[attr-defined]
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
        front.get("elsewhere.example.com")


def test_nobody_says_of_themselves_who_they_are(front: Front) -> None:
    """The address that the console limits and audits by is the one that nginx has seen; the host is the browser's."""
    front.get("console.example.com", **{"X-Forwarded-For": "10.9.8.7", "X-Forwarded-Proto": "http"})
    ((_, _, headers),) = front.behind.asked
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == "console.example.com"


def test_metrics_stay_inside(front: Front) -> None:
    """Prometheus asks the consoles themselves."""
    assert front.get("console.example.com", "/metrics").status == 404
    assert front.behind.asked == []


def test_queries_are_not_logged(front: Front) -> None:
    """What a provider sends a browser back with stands there."""
    front.get("console.example.com", "/sign-in/back?code=c4n4ry&state=c4n4ry")
    deadline = time.monotonic() + 10
    while not (logged := (front.folder / "access.log").read_text()) and time.monotonic() < deadline:
        continue  # nginx writes the line once the answer is away
    assert "console.example.com/sign-in/back" in logged
    assert "c4n4ry" not in logged


def test_one_that_is_gone_is_not_noticed(front: Front) -> None:
    """Of two servers, or three, the others answer everything, at once."""
    assert {front.get("console.example.com").text for _ in range(8)} == {"console-1", "console-2"}  # type: ignore[attr-defined]
    for name in ("console-1", "prefect-2", "openbao-1", "openbao-3"):
        front.behind.stop(name)
    answers = [front.get("console.example.com") for _ in range(6)]
    answers += [front.get("prefect.example.com", "/api/ready") for _ in range(6)]
    answers += [front.vault() for _ in range(6)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.text for answer in answers} == {"console-2", "prefect-1", "openbao-2"}  # type: ignore[attr-defined]


def test_a_node_with_another_certificate_is_not_believed(front: Front) -> None:
    """Secrets are handed to OpenBao only where it is OpenBao."""
    stranger = front.folder / "secrets" / "tls.pem"
    for name in ("openbao-1", "openbao-2", "openbao-3"):
        front.behind.stop(name)
        server = ThreadingHTTPServer(("127.0.0.1", front.behind.ports[name]), BaseHTTPRequestHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(stranger, stranger.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        front.behind.servers[name] = server
        threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True).start()
    assert front.vault().status == 502


def test_a_snapshot_of_any_size_is_restored(front: Front) -> None:
    """By both ways to OpenBao; everything else that is sent there is small."""
    snapshot = bytes(3 * 1024 * 1024)
    for path in ("/v1/sys/storage/raft/snapshot", "/v1/sys/storage/raft/snapshot-force"):
        assert front.post("vault.example.com", path, snapshot).status == 200
        assert front.vault(path, snapshot).status == 200
    assert front.post("vault.example.com", "/v1/keyturn/data/x", snapshot).status == 413
    assert front.vault("/v1/sys/storage/raft/snapshots", snapshot).status == 413


def test_websockets_pass(front: Front) -> None:
    """Workers and pages listen to Prefect's events through nginx."""
    with socket.create_connection(("127.0.0.1", front.prefect), timeout=10) as line:
        asked = "GET /api/events/out HTTP/1.1\r\nHost: prefect\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping"
        line.sendall(asked.encode())
        said = b""
        while part := line.recv(1024):
            said += part
    assert said.startswith(b"HTTP/1.1 101 ")
    assert said.endswith(b"ping")


def test_ports_and_names_are_those_of_compose() -> None:
    """Each server behind nginx is a service that listens there, and nginx has the names that others call it by."""
    services = read_yaml(FOLDER / "compose.yaml")[0]["services"]
    assert {name for name, _ in BEHIND} <= services.keys()
    assert {name for name, _ in BEHIND} == services["nginx"]["extra_hosts"].keys()
    ports = dict(BEHIND)
    assert services["prefect-1"]["command"][-2] == ports["prefect-1"]
    assert services["console-1"]["environment"]["KEYTURN_CONSOLE__PORT"] == ports["console-1"]
    inner = set(re.findall(r"^\s+server_name (\w+);", TOLD, re.MULTILINE))
    assert inner == set(services["nginx"]["networks"]["inside"]["aliases"])
    published = {port.rpartition(":")[2] for port in services["nginx"]["ports"]}
    assert published == {"8443", "8080"}
