from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from keyturn.sandbox.assets import asset
from tests.fakes.authority import certify

FAULTY = """\
tenant: acme
environment: production
gong:
  name: StackOne
  description: Reads calls
  short_description: Calls
  logo: logo.png
  scopes: [api:calls:read:basik]
  redirect_uris:
    - http://api.stackone.com/connect/oauth2/gong/callback
  privacy_policy_url: http://www.acme.example/privacy
  terms_url: https://www.acme.example/terms
  help_url: https://www.acme.example/help
  contact_emails: [it@elsewhere.example]
  domains: [acme.example]
  trusted_ips:
    access_token: [300.1.2.3]
    refresh_token: [192.0.2.1]
stackone:
  origin_owner: {id: acme, name: Acme}
approvals: 2
"""
LINE_OF = {"scopes": 8, "redirect_uris": 10, "privacy_policy_url": 11, "contact_emails": 14, "access_token": 17}


class _Web(BaseHTTPRequestHandler):
    """A proxy behind which lies a web of our own: every host has every page but `/privacy`."""

    tls: ssl.SSLContext

    def do_CONNECT(self) -> None:
        """Be the host that was asked for."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with self.tls.wrap_socket(self.connection, server_side=True) as host:
            asked = host.recv(65536).split()[1]
            host.sendall(b"HTTP/1.1 %d .\r\ncontent-length: 0\r\n\r\n" % (404 if asked == b"/privacy" else 200))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables that lead every https link into a web of our own."""
    files = certify(tmp_path, "www.acme.example", "help.acme.example")
    _Web.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _Web.tls.load_cert_chain(files.certificate, files.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Web) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield {"HTTPS_PROXY": f"http://127.0.0.1:{server.server_port}", "SSL_CERT_FILE": str(files.ca)}
        server.shutdown()


@pytest.fixture
def examples(command: Any) -> Any:
    """The command, with the example manifests."""
    return command.having(KEYTURN_MANIFESTS=str(asset("integrations")))


def test_every_fault_of_a_file_at_once_with_its_line(command: Any) -> None:
    """One line a fault, as compilers do, so that editors and grep can use it; exit code 2."""
    (command.folder / "faulty.yaml").write_text(FAULTY)
    done = command("lint", "faulty.yaml")
    assert done.returncode == 2
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    for field, number in LINE_OF.items():
        assert [line for line in errors if line.startswith(f"faulty.yaml:{number}:") and field in line], field
    assert any("approvals" in line and ":21:" in line for line in errors)
    assert "gong.logo" in done.stdout
    assert "api:calls:read:basic" in done.stdout
    assert max(len(line) for line in errors) > 80  # never broken into two, however narrow the terminal


def test_the_same_as_json(command: Any) -> None:
    """By file: rule, field, line, what is wrong and what to do."""
    (command.folder / "faulty.yaml").write_text(FAULTY)
    found = command.json("lint", "faulty.yaml", code=2)["faulty.yaml"]
    placed = {(f["where"].split(".")[1], f["line"]) for f in found if f["where"].startswith("gong.")}
    assert {("scopes", 8), ("redirect_uris", 10), ("contact_emails", 14)} <= placed
    assert all({"severity", "rule", "where", "message", "remedy", "line"} == set(f) for f in found)


def test_the_examples_pass(examples: Any) -> None:
    """All manifests of the folder by default, or those that are named by key or path; warnings leave exit code 0."""
    assert len(examples.json("lint")) == 2
    assert list(examples.json("lint", "acme/sandbox")) == [str(asset("integrations") / "acme-sandbox.yaml")]
    assert examples("lint", str(asset("integrations") / "acme-production.yaml")).returncode == 0


def test_no_manifest_is_a_fault(command: Any) -> None:
    """An empty folder, a missing folder and an unknown key each say so, with exit code 2."""
    (command.folder / "empty").mkdir()
    done = command.having(KEYTURN_MANIFESTS="empty")("lint")
    assert (done.returncode, done.stderr.strip()) == (2, "no manifests in empty")
    assert command.json("lint", code=2)["subject"] == "integrations"
    assert command.having(KEYTURN_MANIFESTS="empty").json("lint", "acme/production", code=2)["error"] == "ManifestError"


def test_online_asks_whether_the_links_answer(examples: Any, web: dict[str, str]) -> None:
    """A page that is not there is an error with its line; those that answer are not mentioned."""
    ((file, offline),) = examples.json("lint", "acme/production").items()
    online = examples.having(**web).json("lint", "acme/production", "--online", code=2)[file]
    (missing,) = [finding for finding in online if finding not in offline]
    assert (missing["severity"], missing["where"]) == ("error", "gong.privacy_policy_url")
    assert missing["message"] == "https://www.acme.example/privacy answers 404"
    assert missing["line"]


def test_the_schema_is_one_that_editors_can_use(command: Any) -> None:
    """It is a valid JSON Schema, and both examples fit it."""
    schema = json.loads(command("schema").stdout)
    Draft202012Validator.check_schema(schema)
    for path in Path(asset("integrations")).glob("*.yaml"):
        Draft202012Validator(schema).validate(YAML(typ="safe").load(path))
