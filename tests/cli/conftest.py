"""The command in a clean environment, and servers for it to talk to: everything that it needs but Prefect."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from keyturn import settings
from keyturn.domain.credential import Pointer
from keyturn.domain.gate import Gate
from keyturn.domain.integration import IntegrationKey
from keyturn.sandbox.assets import asset
from keyturn.sandbox.openbao import OpenBao, start_openbao
from keyturn.sandbox.people import GongAdmin, StackOneAdmin
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.processes import Children
from keyturn.sandbox.twin_servers import TwinOptions, Twins, start_twins
from keyturn.services import asking
from keyturn.services.link import Linking
from keyturn.services.provision import Provisioning
from keyturn.services.register import register
from keyturn.services.store import Safekeeping
from keyturn.services.verify import Examination
from keyturn.wiring import Ports
from tests import forked
from tests.forked import Done

NOWHERE = {
    "KEYTURN_LEDGER__URL": "postgresql://somebody:hidden-word@127.0.0.1:1/keyturn",
    "KEYTURN_VAULT__ADDR": "http://127.0.0.1:1",
    "KEYTURN_VAULT__TOKEN": "s.nobody",
    "KEYTURN_STACKONE__BASE_URL": "http://127.0.0.1:1",
    "KEYTURN_STACKONE__API_KEY": "v1.nobody",
    "KEYTURN_GONG__TOKEN_URL": "http://127.0.0.1:1/token",
    "PREFECT_API_URL": "http://127.0.0.1:1/api",
    "VAULT_TOKEN": "s.nobody",
}
"""Settings that are well-formed, and lead to ports where nobody listens."""


@dataclass(frozen=True)
class Command:
    """The command `keyturn`, run in a folder, with these variables and no others."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def __call__(self, *words: str, given: str = "", **more: str) -> Done:
        """Run it to its end, whatever that is."""
        return forked.run(words, {**self.environment, **more}, self.folder, given)

    def json(self, *words: str, code: int = 0, given: str = "") -> Any:
        """Run it with `--json` and read what it printed: on standard output, or on standard error when it failed."""
        done = self(*words, "--json", given=given)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout or done.stderr)

    def having(self, **more: str) -> Command:
        """The same command with more variables."""
        return Command(self.folder, {**self.environment, **more})


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command in an empty folder, with no settings at all."""
    return Command(tmp_path, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)})


@pytest.fixture
def lost(command: Command) -> Command:
    """The command with settings that lead nowhere."""
    return command.having(KEYTURN_MANIFESTS=str(asset("integrations")), **NOWHERE)


@dataclass(frozen=True)
class Servers:
    """An OpenBao and both twins."""

    openbao: OpenBao
    twins: Twins

    def environment(self, ledger_url: str) -> dict[str, str]:
        """Settings that lead to them, and to no Prefect."""
        return {
            "KEYTURN_LEDGER__URL": ledger_url,
            "KEYTURN_VAULT__ADDR": self.openbao.addr,
            "KEYTURN_VAULT__AUTH": "approle",
            "KEYTURN_VAULT__ROLE_ID": self.openbao.role_id,
            "KEYTURN_VAULT__SECRET_ID": self.openbao.secret_id,
            "KEYTURN_STACKONE__BASE_URL": self.twins.stackone,
            "KEYTURN_STACKONE__API_KEY": self.twins.api_key,
            "KEYTURN_STACKONE__SPEC_URL": f"{self.twins.stackone}/oas/stackone.json",
            "KEYTURN_STACKONE__PROFILE_WRITER": "assisted",
            "KEYTURN_GONG__TOKEN_URL": f"{self.twins.gong}/oauth2/generate-customer-token",
            "PREFECT_API_URL": NOWHERE["PREFECT_API_URL"],
        }


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """All that people's commands need beside a database."""
    with Children(tmp_path_factory.mktemp("servers")) as children:
        twins = start_twins(children, free_port(), free_port(), TwinOptions())
        yield Servers(start_openbao(children), twins)


@dataclass(frozen=True)
class Office:
    """People at their command lines, in front of an integration of their own."""

    key: IntegrationKey
    ports: Ports
    command: Command
    servers: Servers
    gong: GongAdmin
    stackone: StackOneAdmin

    def as_(self, name: str) -> Command:
        """The command in somebody's hands."""
        return self.command.having(VAULT_TOKEN=self.servers.openbao.login(name))

    def gates(self) -> list[Gate]:
        """What is being asked."""
        return list(self.ports.ledger.gates(key=self.key))

    def pointer(self) -> Pointer:
        """Where Vault's versions stand."""
        return self.ports.secrets.pointer(self.key)

    def run(self) -> None:
        """What a run in Prefect does: every stage in order, up to one that waits for somebody."""
        ports = self.ports
        attempt = ports.ledger.attempts(self.key)[0]
        run = ports.ledger.begin_execution(attempt.id, None)
        keeping = Safekeeping(ports.ledger, ports.secrets, ports.gong)
        making = Provisioning(ports.ledger, ports.secrets, ports.hub, ports.writers, ports.clock)
        stages: list[Callable[[], object]] = [
            lambda: register(ports.ledger, run),
            lambda: asking.ask_approval(ports.ledger, ports.clock, run),
            lambda: asking.ask_gong_admin(ports.ledger, ports.clock, run),
            lambda: keeping.fetch(run),
            lambda: keeping.store(run),
            lambda: making.create(run),
            lambda: Linking(ports.ledger, ports.hub, ports.clock).link(run),
            lambda: Examination(ports.ledger, ports.secrets, ports.gong, ports.hub).test_connection(run),
        ]
        any(isinstance(stage(), Gate) for stage in stages)


@pytest.fixture
def office(command: Command, servers: Servers, url: str, request: pytest.FixtureRequest) -> Iterator[Office]:
    """A fresh ledger, and an integration that no other test knows."""
    tenant = request.node.name.removeprefix("test_").replace("_", "-")[:40]
    manifests = command.folder / "integrations"
    (manifests / "logos").mkdir(parents=True)
    example = asset("integrations")
    (manifests / "logos" / "acme.png").write_bytes((example / "logos" / "acme.png").read_bytes())
    text = (example / "acme-production.yaml").read_text()
    # A name of its own for the profile, too: StackOne is the same for all tests, and has those of the others.
    ours = text.replace("tenant: acme", f"tenant: {tenant}").replace("Gong acme/", f"Gong {tenant}/")
    (manifests / "ours.yaml").write_text(ours)
    environment = servers.environment(url)
    ports = Ports(settings.load(environment))
    gong, stackone = GongAdmin(servers.twins.gong), StackOneAdmin(servers.twins.stackone)
    key = IntegrationKey(tenant, "production")
    yield Office(key, ports, command.having(**environment), servers, gong, stackone)
    for connected in (gong, stackone, ports.ledger, ports._stackone[0], ports.gong._transport):  # type: ignore[attr-defined]
        connected.close()
