"""A real PostgreSQL in a folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import psycopg
import pytest

from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.sandbox.postgres import Postgres, start_postgres
from keyturn.sandbox.processes import Children

Commands = Callable[[], dict[int, str]]

ONCE = """
import sys
from pathlib import Path
from keyturn.sandbox.postgres import start_postgres
from keyturn.sandbox.processes import Children
with Children(Path(sys.argv[1])) as children:
    print(start_postgres(children).ledger_url)
"""


def note(postgres: Postgres, text: str) -> None:
    """Keep a word in the ledger's database."""
    with psycopg.connect(postgres.ledger_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS noted (word text)")
        connection.execute("INSERT INTO noted VALUES (%s)", (text,))


def noted(postgres: Postgres) -> list[str]:
    """The words kept."""
    with psycopg.connect(postgres.ledger_url) as connection:
        return [str(row[0]) for row in connection.execute("SELECT word FROM noted ORDER BY word")]


def test_both_databases_are_there_and_stay(tmp_path: Path) -> None:
    """Ledger and Prefect have a database each; what is in them survives a stop and another start."""
    with Children(tmp_path) as children:
        postgres = start_postgres(children)
        assert postgres.prefect_url.startswith("postgresql+asyncpg://postgres@/prefect?host=/")
        with psycopg.connect(postgres.url("prefect")) as connection:
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        note(postgres, "before")
    with Children(tmp_path) as children:
        postgres = start_postgres(children)
        note(postgres, "later")
        assert noted(postgres) == ["before", "later"]


def test_it_is_not_on_the_network(tmp_path: Path) -> None:
    """No TCP port is listened on, and the socket's folder is closed to others."""
    with Children(tmp_path) as children:
        postgres = start_postgres(children)
        assert psutil.Process(postgres.child.process.pid).net_connections("inet") == []
        assert postgres.socket_folder.stat().st_mode & 0o077 == 0
        assert postgres.socket_folder.stat().st_uid == os.geteuid()


def test_it_resumes_after_kill_9(tmp_path: Path, commands: Commands) -> None:
    """What was committed is there after the server was killed, and nothing of the old server is left."""
    with Children(tmp_path) as children:
        postgres = start_postgres(children)
        note(postgres, "committed")
        os.kill(postgres.child.process.pid, signal.SIGKILL)
        postgres.child.process.wait()
        again = start_postgres(children)
        assert noted(again) == ["committed"]
    assert not [line for line in commands().values() if str(tmp_path) in line]


def test_a_lock_file_with_somebody_elses_pid_does_not_stop_it(tmp_path: Path) -> None:
    """After a crash, another process may have the pid that PostgreSQL noted."""
    with Children(tmp_path) as children:
        children.stop(start_postgres(children).child)
        (tmp_path / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}/postgres\n1\n5432\n\n\n")
        start_postgres(children)


@pytest.mark.parametrize("folder", ["d" * 90, "with a space, and a comma", "ü%20"])
def test_any_folder_will_do(tmp_path: Path, folder: str) -> None:
    """A path too long for a Unix socket, or with characters that addresses trip over, gets a short folder elsewhere."""
    state = tmp_path / folder
    with Children(state) as children:
        postgres = start_postgres(children)
        note(postgres, "here")
        assert noted(postgres) == ["here"]
        assert postgres.socket_folder.stat().st_mode & 0o077 == 0
    shutil.rmtree(postgres.socket_folder)


def test_a_short_folder_that_is_not_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that others can enter is not used for the socket: they would be superusers."""
    state = tmp_path / ("d" * 90)
    with tempfile.TemporaryDirectory(prefix="kt-", dir="/tmp") as short:  # a worker's own paths are too long
        monkeypatch.setattr("tempfile.tempdir", short)
        with Children(state) as children:
            folder = start_postgres(children).socket_folder
        folder.chmod(0o755)
        with Children(state) as children, pytest.raises(ConfigurationError, match="belongs to somebody else"):
            start_postgres(children)


def test_a_server_that_does_not_come_up_is_reported(tmp_path: Path) -> None:
    """A broken cluster is an error that names the log file."""
    with Children(tmp_path) as children:
        children.stop(start_postgres(children).child)
        (tmp_path / "postgres" / "postgresql.conf").write_text("nonsense = on\n")
        with pytest.raises(UnavailableError, match=r"postgres: ended with code 1 .*postgres\.log"):
            start_postgres(children)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_normal_user_can_run_it(tmp_path: Path) -> None:
    """It works without root, where nothing has to be stepped down from."""
    nobody = pwd.getpwnam("nobody")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, nobody.pw_uid, nobody.pw_gid)
    # The capability lets it read the interpreter and the checkout, wherever they are.
    become = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
              "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"]  # fmt: skip
    for _ in range(2):
        done = subprocess.run(
            [*become, sys.executable, "-c", ONCE, str(state)], check=False, capture_output=True, text=True, cwd="/"
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("postgresql://postgres@/keyturn?host=/")
