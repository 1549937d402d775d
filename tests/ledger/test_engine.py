from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text

from keyturn.domain.manifest import SealedManifest
from keyturn.errors import AmbiguousError, ConfigurationError, UnavailableError
from keyturn.ledger import migrate
from keyturn.ledger.engine import make_engine
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import Clock

PASSWORD = "canary-password"
END_OF_CONNECTION = """
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON attempts DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION cut()
"""


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_addresses(scheme: str) -> None:
    """PostgreSQL's own way of writing an address is taken, and psycopg 3 is used."""
    engine = make_engine(f"{scheme}://keyturn:{PASSWORD}@db.example:5433/keyturn?sslmode=verify-full")
    assert engine.driver == "psycopg"
    assert PASSWORD not in repr(engine)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense " + PASSWORD, f"mysql://u:{PASSWORD}@h/d", f"postgresql+asyncpg://u:{PASSWORD}@h/d",
     f"postgresql://u:x@{PASSWORD}@h/d"],
)  # fmt: skip
def test_wrong_addresses(url: str) -> None:
    """A wrong address is refused with the name of the setting, and without quoting the address."""
    with pytest.raises(ConfigurationError, match="KEYTURN_LEDGER__URL") as refused:
        make_engine(url)
    assert PASSWORD not in repr(refused.value)


def test_sessions(engine: Engine) -> None:
    """Connections say whose they are, speak UTC, and do not idle in a transaction for ever."""
    asked = "application_name", "timezone", "idle_in_transaction_session_timeout", "transaction_isolation"
    with engine.connect() as connection:
        told = [connection.execute(text(f"SHOW {name}")).scalar() for name in asked]
    assert told == ["keyturn", "UTC", "5min", "read committed"]


def test_nobody_there(clock: Clock) -> None:
    """An unreachable server is a transient fault that names host and database, never the password."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"postgresql://keyturn:{PASSWORD}@127.0.0.1:{held.getsockname()[1]}/thebase"
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:\d+/thebase") as told:
            PostgresLedger(make_engine(url), clock, 1.0).integrations()
    assert PASSWORD not in repr(told.value)
    assert told.value.__cause__ is None
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)  # noqa: S301  our own bytes


def test_nobody_answers(clock: Clock) -> None:
    """A server that takes the connection and says nothing is told apart from one that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://keyturn@127.0.0.1:{silent.getsockname()[1]}/thebase?connect_timeout=2"
        with pytest.raises(UnavailableError, match="does not answer"):
            PostgresLedger(make_engine(url), clock, 1.0).integrations()


def test_no_connection_left(server: str, clock: Clock) -> None:
    """An operator hears that there are too many connections, and not that the server is gone."""
    role = f"kt_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
        try:
            url = make_url(server).set(username=role, password="x").render_as_string(hide_password=False)
            with pytest.raises(UnavailableError, match="no connection left"):
                PostgresLedger(make_engine(url), clock, 1.0).integrations()
        finally:
            admin.execute(f"DROP ROLE {role}")


def test_who_may_not_connect(server: str, new_database: Callable[[str], str], clock: Clock) -> None:
    """A wrong user is a fault of configuration: trying again will not help."""
    url, role = make_url(new_database("template0")), f"kt_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN")
        admin.execute(f"REVOKE CONNECT ON DATABASE {url.database} FROM PUBLIC")
        try:
            for user, problem in ((role, "does not let this user connect"), ("kt_nobody", "no such user")):
                given = url.set(username=user, password="x").render_as_string(hide_password=False)
                with pytest.raises(ConfigurationError, match=problem):
                    PostgresLedger(make_engine(given), clock, 1.0).integrations()
        finally:
            admin.execute(f"DROP ROLE {role}")


def test_no_tls_where_it_is_asked_for(clock: Clock) -> None:
    """A server without TLS, when the address demands it, is told apart from one that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as plain, ThreadPoolExecutor(1) as pool:
        pool.submit(_refuse_tls, plain)
        url = f"postgresql://keyturn@127.0.0.1:{plain.getsockname()[1]}/thebase?sslmode=require"
        with pytest.raises(ConfigurationError, match="TLS as the address asks"):
            PostgresLedger(make_engine(url), clock, 1.0).integrations()


def _refuse_tls(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(8)  # an SSLRequest
        connection.sendall(b"N")


def test_no_such_database(server: str, clock: Clock) -> None:
    """A database that does not exist is a fault of configuration: trying again will not help."""
    url = make_url(server).set(database=f"kt_{uuid4().hex}").render_as_string(hide_password=False)
    with pytest.raises(ConfigurationError, match="does not exist"):
        PostgresLedger(make_engine(url), clock, 1.0).integrations()
    with pytest.raises(ConfigurationError, match="does not exist"):
        migrate.pending(url)


def test_no_tables(new_database: Callable[[str], str], clock: Clock) -> None:
    """An empty database is told to be upgraded."""
    engine = make_engine(new_database("template0"))
    with pytest.raises(ConfigurationError, match="keyturn db upgrade"):
        PostgresLedger(engine, clock, 1.0).integrations()
    engine.dispose()


def test_lost_connections_are_replaced(engine: Engine, ledger: PostgresLedger, server: str) -> None:
    """After the server has dropped idle connections the next call works."""
    assert ledger.integrations() == []
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keyturn' AND datname = :d"
    )
    admin = make_engine(server)
    with admin.connect() as connection:
        assert connection.execute(text(others), {"d": engine.url.database}).all()
    admin.dispose()
    assert ledger.integrations() == []


def test_connection_lost_while_committing(
    engine: Engine, ledger: PostgresLedger, sealed: Callable[..., SealedManifest]
) -> None:
    """When the answer to a commit is lost the outcome is called unknown, not failed."""
    with engine.begin() as connection:
        connection.execute(text(END_OF_CONNECTION))
    with pytest.raises(AmbiguousError, match="while committing"):
        ledger.open_attempt(sealed(), None)
    assert ledger.integrations() == []


def test_values_stay_out_of_errors(ledger: PostgresLedger, sealed: Callable[..., SealedManifest]) -> None:
    """A value that is not JSON is an error of the programmer, and its text does not carry the other values."""
    run = ledger.begin_execution(ledger.open_attempt(sealed(), None).attempt.id, None)
    with pytest.raises(Exception, match="not JSON serializable") as raised, ledger.exclusive(run) as work:
        work.audit("link.made", {"canary": PASSWORD, "bad": object()})
    assert PASSWORD not in str(raised.value)
