"""Connections to the ledger's PostgreSQL."""

from __future__ import annotations

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError

from keyturn.errors import ConfigurationError

_SETTING = "KEYTURN_LEDGER__URL"
_REMEDY = (
    "Give postgresql://user:password@host/database; write special characters of the password as %40, %2F and so on."
)
_DRIVERS = ("postgresql", "postgres", "postgresql+psycopg")


def make_engine(url: str, *, idle_in_transaction_s: float = 300.0) -> Engine:
    """Prepare connections; none is made yet.

    Args:
        url: `postgresql://…`, as PostgreSQL's own programs take it.
        idle_in_transaction_s: after so long without a statement PostgreSQL ends a transaction, so that a frozen
            process cannot hold an attempt for ever.

    Raises:
        ConfigurationError: the address is missing, or is not one of PostgreSQL.
    """
    address = _address(url)
    session = f"-c timezone=UTC -c idle_in_transaction_session_timeout={round(idle_in_transaction_s * 1000)}"
    return create_engine(
        address,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        max_overflow=-1,  # a refused decision's audit takes a second connection: waiting for one here could never end
        hide_parameters=True,  # values stay out of error texts
        connect_args={
            "application_name": "keyturn",
            "connect_timeout": int(str(address.query.get("connect_timeout", "10"))),
            "options": f"{address.query.get('options', '')} {session}".strip(),
        },
    )


def place(url: URL) -> str:
    """Where the database is, for people: host, port and name, never user or password."""
    host = url.host or ", ".join(_texts(url.query.get("host", "localhost")))
    return f"ledger {host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        # The cause would quote the address, password and all.
        raise ConfigurationError(_SETTING, "is not set" if not url else "is not a database address", _REMEDY) from None
    if address.drivername not in _DRIVERS:
        raise ConfigurationError(_SETTING, f"{address.drivername!r} is not PostgreSQL", _REMEDY)
    if "@" in (address.host or ""):
        # A bare @ in the password ends it early; its rest would be shown as a host name.
        raise ConfigurationError(_SETTING, "has more than one @", _REMEDY)
    return address.set(drivername="postgresql+psycopg")


def _texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
