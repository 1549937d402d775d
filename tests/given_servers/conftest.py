"""Servers as an organisation has them: Debian's PostgreSQL with passwords, and an OpenBao with TLS and its own CA."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from keyturn import settings
from keyturn.sandbox.assets import asset
from keyturn.sandbox.openbao import OpenBao, start_openbao
from keyturn.sandbox.people import GongAdmin, StackOneAdmin
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.prefect import create_pool, deploy, start_server, start_worker
from keyturn.sandbox.processes import Children, Command, environment
from keyturn.sandbox.scene import Cast, CommandLine
from keyturn.sandbox.twin_servers import TwinOptions, Twins, start_twins
from keyturn.wiring import Ports
from tests.fakes.authority import certify
from tests.fakes.runs import FakeRuns

AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class DebianPostgres:
    """A PostgreSQL from Debian's package, on TCP, where everybody needs a password."""

    port: int
    password: str = field(repr=False)

    def url(self, database: str, scheme: str = "postgresql") -> str:
        """Address of a database, for the role that owns it."""
        return f"{scheme}://{database}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make a database and the role that owns it; gives its address."""
        owner, password = sql.Identifier(database), sql.Literal(self.password)
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, password))
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(owner, owner))
        return self.url(database)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


@dataclass(frozen=True)
class Given:
    """Everything that keyturn is given, and the settings that say where."""

    openbao: OpenBao
    twins: Twins
    environment: Mapping[str, str] = field(repr=False)

    @property
    def command(self) -> CommandLine:
        """The command in nobody's hands."""
        return CommandLine(self.environment)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    """Processes that are stopped at the end, in a folder that user postgres may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-given-", dir="/tmp"))
    folder.chmod(0o755)
    with Children(folder) as started:
        yield started
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def postgres(children: Children) -> DebianPostgres:
    """Debian's newest PostgreSQL, on a cluster of its own."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
    if programs is None:
        pytest.fail("Debian's PostgreSQL is not installed: run `make debian` as root")
    given = DebianPostgres(free_port(), secrets.token_hex(16))
    home, password = children.state / "debian", children.state / "debian" / "password"
    home.mkdir()
    password.write_text(given.password)
    if AS_POSTGRES:
        shutil.chown(home, "postgres")
        shutil.chown(password, "postgres")
    data, variables = home / "data", environment(children.state / "home")
    making = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
    initdb = [*AS_POSTGRES, str(programs), *making, "--no-sync", "-D", str(data)]
    children.run(Command("debian-initdb", initdb, variables, home))
    options = [f"port={given.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
    server = [*AS_POSTGRES, str(programs.with_name("postgres")), "-D", str(data)]
    argv = [*server, *(word for option in options for word in ("-c", option))]
    child = children.start(Command("debian-postgres", argv, variables, home, signal.SIGINT))
    child.wait_until(given.answers)
    return given


@pytest.fixture(scope="module")
def given(children: Children, postgres: DebianPostgres) -> Given:
    """All servers, each started by itself and told of by settings; the ledger has no tables yet."""
    ledger_url = postgres.create("keyturn")
    postgres.create("prefect")
    openbao = start_openbao(children, tls=certify(children.state, "127.0.0.1"))
    twins = start_twins(children, free_port(), free_port(), TwinOptions())
    prefect = start_server(children, postgres.url("prefect", "postgresql+asyncpg"), free_port())
    create_pool(prefect)
    deploy(children, prefect, asset("prefect.yaml"))
    told = {
        "KEYTURN_LEDGER__URL": ledger_url,
        "KEYTURN_VAULT__ADDR": openbao.addr,
        "KEYTURN_VAULT__CA_FILE": str(openbao.ca),
        "KEYTURN_VAULT__AUTH": "approle",
        "KEYTURN_VAULT__ROLE_ID": openbao.role_id,
        "KEYTURN_VAULT__SECRET_ID": openbao.secret_id,
        "KEYTURN_STACKONE__BASE_URL": twins.stackone,
        "KEYTURN_STACKONE__API_KEY": twins.api_key,
        "KEYTURN_STACKONE__DASHBOARD_URL": twins.stackone,
        "KEYTURN_GONG__TOKEN_URL": f"{twins.gong}/oauth2/generate-customer-token",
        "KEYTURN_GONG__AUTHORIZE_URL": f"{twins.gong}/oauth2/authorize",
        "KEYTURN_GONG__ADMIN_URL": twins.gong,
        "KEYTURN_MANIFESTS": str(asset("integrations")),
        "PREFECT_API_URL": prefect.api_url,
    }
    start_worker(children, prefect, told)
    return Given(openbao, twins, {"PATH": os.environ["PATH"], "HOME": str(children.state / "home"), **told})


@pytest.fixture
def ports(given: Given) -> Iterator[Ports]:
    """What a play looks at."""
    made = Ports(settings.load(given.environment))
    # A play asks Prefect only whether a run has died. Prefect's client would take its address when it is first
    # imported, once for this whole process, and other tests have other servers.
    made.runs = FakeRuns()
    yield made
    made.ledger.close()


@pytest.fixture
def cast(given: Given) -> Iterator[Cast]:
    """The people, each with a token of the OpenBao that was given."""

    def hands(name: str) -> CommandLine:
        return CommandLine({**given.environment, "VAULT_TOKEN": given.openbao.login(name)})

    gong, stackone = GongAdmin(given.twins.gong), StackOneAdmin(given.twins.stackone)
    people = Cast(hands("alice"), hands("bob"), hands("grace"), gong, stackone)
    yield people
    people.close()
