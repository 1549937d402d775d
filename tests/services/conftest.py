"""Real servers for the services: PostgreSQL, OpenBao and both twins. Only Prefect is a fake."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import httpx
import pytest
from sqlalchemy import Engine

from keyturn import settings
from keyturn.clients.budget import Budget
from keyturn.clients.gong.token_endpoint import GongTokenEndpoint
from keyturn.clients.stackone.connection import connect
from keyturn.clients.stackone.hub import StackOneHub
from keyturn.clients.transport import Transport, Vendor
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger.engine import make_engine
from keyturn.ports import Window
from keyturn.sandbox.openbao import OpenBao, start_openbao
from keyturn.sandbox.people import GongAdmin, StackOneAdmin
from keyturn.sandbox.processes import Children
from keyturn.sandbox.vault_setup import PEOPLE
from keyturn.wiring import Ports, quiet_http
from tests.fakes.clock import FakeClock
from tests.fakes.runs import FakeRuns
from tests.services.fleet import Fleet, a_fleet
from tests.services.search import CANARY, found, kept
from tests.services.twins import Twins
from tests.services.world import World
from tests.twins import API_KEY, Served

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def running_twins(served_twins: Served) -> Iterator[Twins]:
    """Both twins, and people with a browser open there."""
    with httpx.Client() as control:
        gong_admin, stackone_admin = GongAdmin(served_twins.gong), StackOneAdmin(served_twins.stackone)
        yield Twins(served_twins.gong, served_twins.stackone, control, gong_admin, stackone_admin)
        gong_admin.close()
        stackone_admin.close()


@pytest.fixture
def twins(running_twins: Twins) -> Twins:
    """Both twins, fresh. The first integration made in Gong gets the canary."""
    running_twins.reset()
    return running_twins


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """An OpenBao, set up as an administrator does it."""
    with Children(tmp_path_factory.mktemp("openbao")) as children:
        yield start_openbao(children)


@pytest.fixture(scope="session")
def tokens(openbao: OpenBao) -> Mapping[str, str]:
    """Everybody's own Vault token."""
    return {name: openbao.login(name) for name in PEOPLE}


@pytest.fixture(scope="session")
def ledger_url(new_database: Callable[[str], str], migrated: str) -> Iterator[str]:
    """One ledger for all tests: each has an integration of its own in it. After the last one the canary is sought."""
    url = new_database(migrated)
    yield url
    assert found([CANARY], kept(url)) == []


@pytest.fixture(scope="session")
def engine_of() -> Iterator[Callable[[str], Engine]]:
    """One engine for each ledger: it compiles every statement once."""
    engines: dict[str, Engine] = {}
    yield lambda url: engines.setdefault(url, make_engine(url))
    for engine in engines.values():
        engine.dispose()


@pytest.fixture
def environ(ledger_url: str, openbao: OpenBao, twins: Twins) -> dict[str, str]:
    """What keyturn is told from outside."""
    return {
        "KEYTURN_LEDGER__URL": ledger_url,
        "KEYTURN_LEDGER__LOCK_TIMEOUT_S": "30",
        "KEYTURN_VAULT__ADDR": openbao.addr,
        "KEYTURN_VAULT__AUTH": "approle",
        "KEYTURN_VAULT__ROLE_ID": openbao.role_id,
        "KEYTURN_VAULT__SECRET_ID": openbao.secret_id,
        "KEYTURN_STACKONE__BASE_URL": twins.stackone,
        "KEYTURN_STACKONE__API_KEY": API_KEY,
        "KEYTURN_STACKONE__SPEC_URL": f"{twins.stackone}/oas/stackone.json",
        "KEYTURN_GONG__TOKEN_URL": f"{twins.gong}/oauth2/generate-customer-token",
    }


@pytest.fixture
def clock() -> FakeClock:
    """This test's time."""
    return FakeClock()


@pytest.fixture
def new_ports(
    environ: dict[str, str], clock: FakeClock, engine_of: Callable[[str], Engine]
) -> Iterator[Callable[..., Ports]]:
    """Make ports from this test's settings, changed as told by variables without their prefix.

    Loading certificates takes longer than all calls of a test, and nothing here speaks TLS.
    """
    with ExitStack() as stack:

        def make(**changes: str) -> Ports:
            ports = Ports(settings.load(environ | {f"KEYTURN_{name}": value for name, value in changes.items()}))
            ports.clock = clock
            if ports.settings.gong.probe:
                url = str(ports.settings.gong.token_url)
                ports.gong = GongTokenEndpoint(url, stack.enter_context(_unhurried(url, clock)))
            to_stackone = connect(ports.settings.stackone, clock, httpx.HTTPTransport(verify=False))
            ports._stackone = stack.enter_context(to_stackone), StackOneHub(to_stackone)
            ports._engine = engine_of(ports.settings.require_ledger_url())
            return ports

        yield make


@pytest.fixture
def new_world(
    new_ports: Callable[..., Ports],
    clock: FakeClock,
    openbao: OpenBao,
    tokens: Mapping[str, str],
    twins: Twins,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Callable[..., World]]:
    """Make a world for another integration, under settings changed as told.

    When the test is over, its secrets are searched for where none may be.
    """
    quiet_http()
    caplog.set_level(logging.DEBUG)
    worlds: list[World] = []

    def make(**changes: str) -> World:
        key = IntegrationKey(f"acme-{next(_numbers)}", "production")
        worlds.append(
            World(
                ports=new_ports(**changes),
                runs=FakeRuns(),
                clock=clock,
                key=key,
                openbao=openbao,
                tokens=tokens,
                twins=twins,
            )
        )
        return worlds[-1]

    yield make
    logged = [f"{record.getMessage()} {record.args!r}" for record in caplog.get_records("call")]
    for world in worlds:
        ledger = kept(world.ports.settings.require_ledger_url(), world.key)
        assert found(world.secrets, [*world.heard, *logged, *ledger]) == []


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """An integration's world."""
    return new_world()


def _unhurried(gong: str, clock: FakeClock) -> Transport:
    """A way to Gong whose budget no test has to wait for."""
    budget = Budget("Gong", [Window(10_000, 1)], clock)
    return Transport(Vendor("Gong", gong), budget, clock, httpx.HTTPTransport(verify=False))


@pytest.fixture
def fleet(url: str) -> Iterator[Fleet]:
    """A fleet in a ledger of the test's own, for those who own its tables."""
    with a_fleet(url) as fleet:
        yield fleet
