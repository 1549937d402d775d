from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyturn.console.visitor import SESSION_COOKIE
from keyturn.domain.gate import Person
from keyturn.sandbox.ports import free_port

LINKS = {"KEYTURN_CONSOLE__SIGN_IN_LINKS": "true"}

PROVIDER = {
    "KEYTURN_CONSOLE__URL": "https://console.example",
    "KEYTURN_CONSOLE__OIDC__ISSUER": "https://id.example",
    "KEYTURN_CONSOLE__OIDC__CLIENT_ID": "keyturn-console",
}


@dataclass
class Served:
    """A running `keyturn console`.

    Attributes:
        url: where it says that it is.
    """

    process: subprocess.Popen[str]
    url: str
    log: Path
    http: httpx.Client = field(repr=False)

    def stop(self, within_s: float = 30) -> int:
        """Tell it to stop; gives its exit code."""
        self.process.terminate()
        return self.process.wait(within_s)


@contextmanager
def served(command: Any, log: Path, *words: str, **more: str) -> Iterator[Served]:
    """Run `keyturn console` until it says where it is."""
    argv = [sys.executable, "-m", "keyturn", "console", *words, "--json"]
    with log.open("w") as to, ExitStack() as stack:
        environment = {**command.environment, **more}
        process = stack.enter_context(
            subprocess.Popen(argv, cwd=command.folder, env=environment, stdout=subprocess.PIPE, stderr=to, text=True)
        )
        stack.callback(process.kill)
        assert process.stdout
        said = ""
        while line := process.stdout.readline():
            said += line
            if line.startswith("}"):
                break
        assert said, log.read_text()
        yield Served(process, json.loads(said)["url"], log, stack.enter_context(httpx.Client()))


@pytest.fixture
def console(office: Any, tmp_path: Path) -> Iterator[Served]:
    """A console on this machine alone, on a port of its own."""
    with served(office.command, tmp_path / "console.log", "--port", "0", **LINKS) as running:
        yield running


def opened(console: Served, path: str, token: str = "") -> httpx.Response:
    """Open a page, with a session or without; httpx keeps no secure cookies for http, so it is sent by hand."""
    return console.http.get(f"{console.url}{path}", headers={"cookie": f"{SESSION_COOKIE}={token}"} if token else {})


def test_a_link_signs_somebody_in_once(office: Any, console: Served) -> None:
    """Bob's link signs him in as whom Vault says he is; the second time its code is used up."""
    port = console.url.rpartition(":")[2]
    made = office.as_("bob").having(KEYTURN_CONSOLE__PORT=port, **LINKS).json("console", "link")
    page, code = made["url"].split("#")
    assert page == f"{console.url}/sign-in/link"
    assert datetime.fromisoformat(made["ends_at"]) - office.ports.clock.now() <= timedelta(minutes=5)
    assert "One-time code" in console.http.get(page).text
    answers = [console.http.post(page, data={"code": code}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 403]
    token = answers[0].headers["set-cookie"].partition("=")[2].partition(";")[0]
    session = office.ports.visits.visit(token, 60)
    assert session.person.name == "userpass-bob"
    assert session.person.signed_in == "one-time link (vault token (userpass))"
    assert opened(console, "/inbox", token).status_code == 200


def test_sign_out_ends_every_session_of_somebody(office: Any, console: Served) -> None:
    """An operator throws Bob out; nobody else can, and he is not signed in any more at once."""
    bob = Person("vault:entity/bob", "bob", frozenset({"approver"}), "openid (test)")
    for token in ("one", "another", "third"):
        office.ports.visits.begin(token, bob, office.ports.clock.now() + timedelta(hours=1))
    assert opened(console, "/inbox", "one").status_code == 200
    refused = office.as_("erin").json("console", "sign-out", bob.id, code=1)
    assert refused["problem"] == "is no operator"
    assert office.as_("alice").json("console", "sign-out", bob.name) == {"person": bob.name, "ended": 3}
    assert opened(console, "/inbox", "one").is_redirect
    assert office.as_("alice")("console", "sign-out", bob.id).stdout == f"{bob.id}: no sessions ended\n"


def test_it_gives_nothing_away(console: Served) -> None:
    """The log has paths only, since queries hold what a provider sends back; answers do not name the server.

    A proxy that is not trusted cannot speak for a client.
    """
    answer = console.http.get(f"{console.url}/sign-in", headers={"x-forwarded-proto": "https"})
    console.http.get(f"{console.url}/sign-in/callback", params={"code": "c4n4ry", "state": "c4n4ry"})
    assert {"server", "strict-transport-security"} & answer.headers.keys() == set()
    assert console.stop() == 0
    log = console.log.read_text()
    assert '"GET /sign-in/callback HTTP/1.1" 403' in log
    assert "c4n4ry" not in log


def test_it_stops_when_it_is_told_to(office: Any, console: Served) -> None:
    """SIGTERM is no failure, even while a browser keeps a connection open; a second console on the port is one."""
    port = console.url.rpartition(":")[2]
    second = office.command.having(**LINKS)("console", "--port", port)
    assert (second.returncode, "cannot be listened on" in second.stderr) == (2, True)
    with socket.create_connection(("127.0.0.1", int(port))) as open_one:
        open_one.sendall(b"GET /sign-in HTTP/1.1\r\n")
        assert console.stop() == 0
    assert "Traceback" not in console.log.read_text()


def test_only_a_trusted_proxy_speaks_for_a_client(office: Any, tmp_path: Path) -> None:
    """Behind one, limits are for each client and answers know of https; the name in front is the only one served."""
    settings = PROVIDER | {"KEYTURN_CONSOLE__TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1"}
    port = free_port()
    with served(office.command, tmp_path / "console.log", "--port", str(port), **settings) as console:
        assert console.url == "https://console.example"

        def come(client: str, host: str = "console.example") -> httpx.Response:
            said = {"host": host, "x-forwarded-for": client, "x-forwarded-proto": "https"}
            return console.http.get(f"http://127.0.0.1:{port}/sign-in/callback", headers=said)

        answers = [come("198.51.100.1") for _ in range(31)]
        assert [answer.status_code for answer in answers] == [403] * 30 + [429]
        assert come("198.51.100.2").status_code == 403
        assert "strict-transport-security" in answers[0].headers
        assert come("198.51.100.2", "127.0.0.1").status_code == 400


@pytest.mark.parametrize(
    ("words", "settings", "why"),
    [
        ((), {}, "nobody could sign in"),
        (("--host", "0.0.0.0"), LINKS, "the console listens on 0.0.0.0"),  # noqa: S104
        ((), {"KEYTURN_CONSOLE__OIDC__ISSUER": "https://id.example"}, "OIDC__CLIENT_ID: is not set"),
    ],
)
def test_unsafe_settings_are_not_served(lost: Any, words: tuple[str, ...], settings: dict[str, str], why: str) -> None:
    """Exit 2, before anything is listened on or asked."""
    done = lost.having(**settings)("console", "serve", *words)
    assert (done.returncode, why in done.stderr) == (2, True), done.stderr


def test_a_ledger_that_is_away_is_said(lost: Any) -> None:
    """Exit 3: trying again helps."""
    done = lost.having(**LINKS)("console")
    assert (done.returncode, "hidden-word" in done.stderr) == (3, False), done.stderr


def test_a_ledger_of_an_older_keyturn_is_not_served(lost: Any, new_database: Callable[[str], str]) -> None:
    """Exit 2, with the command that brings it up to date."""
    done = lost.having(**LINKS | {"KEYTURN_LEDGER__URL": new_database("template0")})("console")
    assert (done.returncode, "keyturn db upgrade" in done.stderr) == (2, True), done.stderr


def test_links_are_made_only_where_they_work(office: Any) -> None:
    """Without the setting there is none, and so for somebody who is in no group."""
    off = office.as_("bob").json("console", "link", code=2)
    assert (off["subject"], "is off" in off["problem"]) == ("KEYTURN_CONSOLE__SIGN_IN_LINKS", True)
    with office.servers.openbao.api() as root:
        root.write("auth/userpass/users/zoe", {"password": "pw", "token_policies": ["keyturn-person"]})
        token = root.write("auth/userpass/login/zoe", {"password": "pw"})["auth"]["client_token"]
    nobody = office.command.having(VAULT_TOKEN=token, **LINKS).json("console", "link", code=1)
    assert "is in no group" in nobody["problem"]
