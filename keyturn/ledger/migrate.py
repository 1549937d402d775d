"""Bring the ledger's tables up to this version of keyturn, or down again, with Alembic and without an ini file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, func, select

from keyturn.errors import ConfigurationError
from keyturn.ledger.engine import make_engine, place
from keyturn.ledger.faults import translated

# Any number, the same for every keyturn; PostgreSQL keeps advisory locks apart for each database.
_LOCK = 0x6B657974


def upgrade(url: str, revision: str = "head") -> None:
    """Apply what is pending. All of it or nothing; a second one at the same time waits, then finds nothing to do."""
    with _locked(url) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(url: str, revision: str) -> None:
    """Go back to a revision, or with `base` to an empty database. The data of dropped tables is gone."""
    with _locked(url) as connection:
        command.downgrade(_config(connection), revision)


def pending(url: str) -> list[str]:
    """The migrations not applied yet, in order, as `revision what it does`.

    Raises:
        ConfigurationError: the ledger was upgraded by a newer keyturn.
    """
    with _connected(url) as connection:
        return _after(_current(connection), ScriptDirectory.from_config(_config(connection)))


def lacking(url: str) -> list[str]:
    """As `pending`, and nothing where a newer keyturn upgraded the ledger: migrations add, so this one works on it."""
    with _connected(url) as connection:
        known, revision = ScriptDirectory.from_config(_config(connection)), _current(connection)
        newer = (revision or "") > (known.get_current_head() or "")  # revisions are numbers of four digits
        return [] if newer else _after(revision, known)


def current(url: str) -> str | None:
    """The revision of the ledger's tables; `None` when there are none."""
    with _connected(url) as connection:
        return _current(connection)


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = make_engine(url)
    try:
        with translated(engine.url), engine.begin() as connection:
            yield connection
    except (CommandError, RevisionError) as error:
        raise ConfigurationError(
            place(engine.url), str(error), "Use the keyturn that upgraded it, or a revision that this one knows."
        ) from None
    finally:
        engine.dispose()


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    with _connected(url) as connection:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        yield connection


def _after(revision: str | None, known: ScriptDirectory) -> list[str]:
    steps = known.iterate_revisions("head", revision)
    return [f"{step.revision} {step.doc.rstrip('.').lower()}" for step in reversed(list(steps))]


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "keyturn.ledger:migrations")
    config.attributes["connection"] = connection
    return config


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
