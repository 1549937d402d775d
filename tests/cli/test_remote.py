"""Commands on a laptop: it has the console's address and a token of its owner's, and no way to the ledger."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keyturn import settings
from keyturn.console.app import create_app
from keyturn.ports import RunState
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.vault_api import VaultApi
from keyturn.wiring import Ports
from tests.cli.conftest import Command
from tests.console.serving import running, until
from tests.console.sign_in.openid import OpenIdProvider, _form, _through
from tests.console.sign_in.openid import running as running_provider
from tests.fakes.runs import FakeRuns


@dataclass(frozen=True)
class Laptop:
    """The command on a machine that only knows the console.

    Attributes:
        runs: the console's Prefect.
    """

    office: Any
    bare: Command
    runs: FakeRuns

    def as_(self, name: str) -> Command:
        """The command in somebody's hands."""
        return self.bare.having(VAULT_TOKEN=self.office.servers.openbao.login(name))

    def says_the_same(self, *words: str, code: int = 0) -> Any:
        """What a command prints as JSON, once it is sure that one beside the ledger prints just that."""
        here = self.as_("alice")
        there = self.office.as_("alice").having(KEYTURN_MANIFESTS=str(self.office.command.folder / "integrations"))
        said, expected = (who(*words, "--json") for who in (here, there))
        assert (said.returncode, said.stderr if code else "") == (code, expected.stderr if code else ""), said.stderr
        assert said.stdout == expected.stdout
        return json.loads(said.stdout or said.stderr)


@pytest.fixture
def serve(office: Any, url: str, tmp_path: Path) -> Iterator[Callable[..., Laptop]]:
    """Serve a console, with more settings if told, and give the laptop of somebody who knows where it is."""
    role = office.servers.openbao
    sign_in = {"KEYTURN_VAULT__ROLE_ID": role.console_role_id, "KEYTURN_VAULT__SECRET_ID": role.console_secret_id}
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        folder = {"KEYTURN_MANIFESTS": str(office.command.folder / "integrations"), "KEYTURN_CONSOLE__URL": origin}

        def make(**more: str) -> Laptop:
            ports = Ports(settings.load(office.servers.environment(url) | sign_in | folder | more))
            ports.runs = runs = FakeRuns()
            stack.callback(ports.ledger.close)
            stack.enter_context(running(create_app(ports), listener))
            elsewhere = tmp_path / "laptop"
            elsewhere.mkdir()
            environment = {"PATH": os.environ["PATH"], "HOME": str(elsewhere), "KEYTURN_CONSOLE__URL": origin}
            return Laptop(office, Command(elsewhere, environment), runs)

        yield make


@pytest.fixture
def laptop(serve: Callable[..., Laptop]) -> Laptop:
    """A laptop; the people are those of Vault."""
    return serve()


def test_an_onboarding_from_laptops(laptop: Laptop) -> None:
    """The same commands, words and exit codes as beside the ledger, from the manifest to the verdict."""
    office, key = laptop.office, str(laptop.office.key)
    alice, bob, grace = (laptop.as_(name) for name in ("alice", "bob", "grace"))
    begun = alice.json("onboard", key)
    assert (begun["created"], begun["key"]) == (True, key)
    assert "is under way already" in alice("onboard", key).stdout
    office.run()
    (gate,) = laptop.says_the_same("gates", key)
    assert bob("approve", key).returncode == 2  # nobody is there to ask
    decision = bob.json("approve", key, "--digest", gate["digest"][:12], "--note", "fine")
    assert (decision["state"], decision["approvals"]) == ("approved", 1)
    assert "resumed" in decision
    office.run()
    plan = laptop.says_the_same("plan", key)
    pair = office.gong.create_integration(plan["kit"]["steps"])
    taken = grace("submit", key, "--stdin", "--json", given=f"{pair.client_id}\n{pair.client_secret}\n")
    assert json.loads(taken.stdout)["version"] == 1
    assert pair.client_secret not in taken.stdout + taken.stderr
    office.run()
    revealed = grace("reveal", key)
    assert "Fill in the Connector Profile" in revealed.stderr
    with VaultApi(office.servers.openbao.addr, revealed.stdout.strip()) as vault:
        shown = vault.write("sys/wrapping/unwrap")["data"]["data"]
    question = office.gates()[0].question
    office.stackone.create_profile(str(question["profile_name"]), **shown, scopes=["api:users:read"])
    office.run()
    assert office.gong.consent(grace.json("link", key)["url"]) == "authenticated"
    office.run()
    assert laptop.says_the_same("verify", key)["proven"] is True
    assert laptop.says_the_same("status", key)["state"] == "completed"
    assert [line["key"] for line in laptop.says_the_same("status", "--all")] == [key]
    assert laptop.says_the_same("rotate", "due")[0]["what"] == "not_due"
    assert laptop.says_the_same("rotate", key, "--dry-run", "--compromised")["key"] == key
    (checked,) = alice.json("check", key)
    assert {look["outcome"] for look in checked["observations"] if look["subject"] == "pair"} == {"ok"}
    turned = alice.json("rotate", key, "--ignore-window")
    assert alice.json("rotate", "abandon", key, "--reason", "not now")["attempt"] == turned["attempt"]
    file = alice.folder / "evidence.jws"
    told = alice.json("evidence", key, "--attempt", turned["attempt"], "--out", str(file))
    assert told["attempt"]["id"] == turned["attempt"]
    public = alice.folder / "key.pem"
    public.write_text(office.as_("alice")("evidence", "public-key").stdout)
    assert alice("evidence", "verify", str(file), "--key", str(public)).returncode == 0


def test_for_people_it_looks_the_same(laptop: Laptop) -> None:
    """Tables, trees and kits are those of a command beside the ledger, and the kit's files come along."""
    office, key = laptop.office, str(laptop.office.key)
    laptop.as_("alice")("onboard", key)
    office.run()
    for words in (("status",), ("status", key), ("gates",), ("plan", key, "--out", "kit"), ("rotate", "due")):
        assert laptop.as_("alice")(*words).stdout == office.as_("alice")(*words).stdout
    for name in ("kit.md", "logo-large.png", "logo-small.png"):
        assert (laptop.bare.folder / "kit" / name).read_bytes() == (office.command.folder / "kit" / name).read_bytes()


def test_failures_are_the_same(laptop: Laptop) -> None:
    """Kind, sentence, remedy and exit code are those that were raised in the console."""
    key = str(laptop.office.key)
    for words, code in (
        (("approve", key, "--digest", "0" * 64), 1),
        (("rotate", key), 1),
        (("rotate", "lost", key, "--reason", "gone"), 1),
        (("plan", "nobody/production"), 2),
        (("status", "no-key"), 2),
        (("check", "nobody/production"), 1),
        (("evidence", key), 1),
    ):
        laptop.says_the_same(*words, code=code)
    refused = laptop.as_("grace").json("submit", key, "--stdin", code=1)
    assert (refused["error"], refused["problem"]) == ("GateClosedError", "no run is asking for a secret")
    assert laptop.as_("bob").json("onboard", key, code=1)["error"] == "NotPermittedError"


def test_watching_from_afar(laptop: Laptop) -> None:
    """`--watch` asks the console again and again, until the run is over, and says what that means."""
    office, key, alice = laptop.office, str(laptop.office.key), laptop.as_("alice")
    begun = alice.json("onboard", key)
    office.run()
    with started(alice, "onboard", key, "--watch", "--json") as process:
        (run,) = laptop.runs.states
        assert str(run) == alice.json("status", key)["flow_run"]
        assert process.poll() is None
        until(lambda: _ended(laptop) and process.poll() is not None, within_s=150)
        said, _ = process.communicate()
    assert (process.returncode, json.loads(said)["attempt"]) == (1, begun["attempt"])


def test_what_only_the_ledger_has(laptop: Laptop) -> None:
    """Other commands say that they need the ledger, and where to run them."""
    for words in (("audit",), ("audit", "verify"), ("db", "upgrade")):
        failure = laptop.as_("alice").json(*words, code=2)
        assert (failure["error"], failure["subject"]) == ("ConfigurationError", "KEYTURN_LEDGER__URL")
        assert "run it on a machine with the ledger" in failure["remedy"]


def test_manifests_are_the_consoles(laptop: Laptop) -> None:
    """A file of this machine says nothing about what the console would do, so it is refused where that matters."""
    (laptop.bare.folder / "ours.yaml").write_bytes(
        (laptop.office.command.folder / "integrations/ours.yaml").read_bytes()
    )
    for words in (("plan", "ours.yaml"), ("onboard", "ours.yaml")):
        assert "goes by its own manifests" in laptop.as_("alice").json(*words, code=2)["problem"]
    assert laptop.as_("alice").json("status", "ours.yaml")["key"] == str(laptop.office.key)


def test_nobody_without_a_token(laptop: Laptop) -> None:
    """Whoever has none is told where to get one; one that is nobody's is refused by the console."""
    nobody = laptop.bare.json("gates", code=1)
    assert (nobody["error"], nobody["subject"]) == ("NotPermittedError", "you")
    assert laptop.office.servers.openbao.addr in nobody["remedy"]
    assert laptop.bare.having(VAULT_TOKEN="s.nobody").json("gates", code=1)["error"] == "NotPermittedError"


def test_a_console_that_is_away(laptop: Laptop) -> None:
    """No answer is exit code 3; an answer from somebody else is a wrong setting."""
    lost = laptop.as_("alice").having(KEYTURN_CONSOLE__URL=f"http://127.0.0.1:{free_port()}")
    assert lost.json("gates", code=3)["error"] == "UnavailableError"
    vault = laptop.as_("alice").having(KEYTURN_CONSOLE__URL=laptop.office.servers.openbao.addr)
    assert "KEYTURN_CONSOLE__URL" in vault.json("gates", code=2)["remedy"]


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    """An OpenID provider that people without a Vault token sign in at."""
    port, log = free_port(), tmp_path_factory.mktemp("openid") / "provider.log"
    with running_provider(port, ["http://127.0.0.1:1"], log) as running:
        running.reset()
        yield running


def test_the_device_flow(serve: Callable[..., Laptop], provider: OpenIdProvider) -> None:
    """Without a Vault token a person signs in once in any browser; the token is kept for them alone until it ends."""
    laptop = serve(**{f"KEYTURN_{name}": value for name, value in provider.variables().items()})
    with started(laptop.bare, "gates", "--json") as first:
        assert first.stderr
        address = re.search(r"open (\S+)", first.stderr.readline())
        code = first.stderr.readline().split()[-1]
        assert address
        assert code in address[1]
        opened(provider, address[1], "alice")
        assert json.loads(first.communicate(timeout=60)[0]) == []
    kept = laptop.bare.folder / ".config" / "keyturn" / "token.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert laptop.bare("gates", "--json").stderr == ""  # nobody is asked again
    body = json.loads(kept.read_text())
    claims = json.loads(base64.urlsafe_b64decode(body["id_token"].split(".")[1] + "=="))
    assert (claims["preferred_username"], claims["exp"]) == ("alice", body["expires_at"])
    begun = laptop.bare.json("onboard", str(laptop.office.key))
    assert begun["created"] is True


def _ended(laptop: Laptop) -> bool:
    """End every run: the command itself may have started one more, if it came late."""
    for run in list(laptop.runs.states):
        laptop.runs.states[run] = RunState.ENDED
    return True


@contextmanager
def started(command: Command, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command that goes on while the test does."""
    argv = [sys.executable, "-m", "keyturn", *words]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=command.folder, env=dict(command.environment), text=True, **piped) as process:
        try:
            yield process
        finally:
            process.kill()


def opened(provider: OpenIdProvider, address: str, account: str) -> None:
    """A person opens the address, signs in, and says that the device is theirs."""
    with provider.browser() as browser:
        page = _through(browser, address, account)
        for _ in range(2):  # the code, then whether it is really this device
            if "<form" in page.text:
                page = _through(browser, str(page.url), account, _form(page.text))
        assert "Signed in" in page.text
