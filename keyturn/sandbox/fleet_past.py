"""The past in which the example fleet's journeys are played: keyturn's own services, under a clock that is put back.

Ledger and Vault are the sandbox's, so what comes of it are real rows and versions. The vendors are `fleet_vendors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from keyturn import settings as settings_module
from keyturn.clients.vault.person import OnBehalf, VaultPerson
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.attempt import Attempt
from keyturn.domain.credential import Credential, CredentialRef, Pointer
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.ports import Channel, LogLine, PersonalVault, RunState, SecretStore
from keyturn.sandbox.fleet_vendors import PastVendors
from keyturn.services.check import Checking
from keyturn.services.manifest_folder import Folder
from keyturn.settings import Settings
from keyturn.wiring import Ports

if TYPE_CHECKING:
    from keyturn.sandbox.openbao import OpenBao
    from keyturn.sandbox.postgres import Postgres

_CAST = ("alice", "bob", "erin", "grace")
_THREADS = 4


class PastClock:
    """Implements `keyturn.ports.Clock`: it goes on from where it was put, by some milliseconds at each look."""

    def __init__(self, now: datetime) -> None:
        self.time = now
        self._ticks = cycle((7, 23, 12, 41, 18))

    def now(self) -> datetime:
        """The moment that is being played. What is asked of the vendors takes a little while."""
        self.time += timedelta(milliseconds=next(self._ticks))
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.time += timedelta(seconds=seconds)


@dataclass(slots=True)
class Past:
    """Everything that a journey needs, at one moment.

    Attributes:
        people: the sandbox's own, as Vault knows them, so that four eyes count for them later.
    """

    clock: PastClock
    vendors: PastVendors
    ports: Ports
    secrets: SecretStore
    people: Mapping[str, Person]
    manifests: Path
    _admin: VaultSession

    @classmethod
    def of(cls, postgres: Postgres, openbao: OpenBao, vendors: PastVendors, manifests: Path, now: datetime) -> Past:
        """On a sandbox's PostgreSQL and OpenBao."""
        ports = Ports(_settings(postgres, openbao))
        clock = ports.clock = PastClock(now)
        vault = ports.settings.vault
        people = {name: VaultPerson(VaultSession(vault, openbao.login(name)), vault).whoami() for name in _CAST}
        secrets = _Remembered(ports.secrets)
        return cls(clock, vendors, ports, secrets, people, manifests, VaultSession(vault, openbao.root_token))

    def stand_at(self, moment: datetime) -> None:
        """Let it be that moment, for everybody."""
        self.clock.time = moment
        self.vendors.stand_at(moment)

    def vault(self, name: str) -> PersonalVault:
        """Vault in a person's hands."""
        return OnBehalf(self._admin, self.ports.settings.vault, self.people[name])

    def look_at(self, keys: Sequence[IntegrationKey]) -> None:
        """A round of the watch over the fleet's health."""
        ports, (gong, stackone) = self.ports, (self.vendors.gong, self.vendors.stackone)
        now = self.clock.now()
        ports.observatory.claim(now, now, len(keys))
        filed = Folder(self.manifests)
        checking = Checking(ports.ledger, self.secrets, gong, stackone, ports.observatory, self.clock, filed)
        checking.check_many(keys, _THREADS)

    def leave(self) -> None:
        """Back to today; what was played stays."""
        self.vendors.leave()
        self.ports.ledger.close()


class NoChannels:
    """Implements `keyturn.ports.Channels`: nobody was told anything."""

    def channels(self) -> Sequence[Channel]:
        """None."""
        return ()


class NoPrefect:
    """Implements `keyturn.ports.Runs`: Prefect never heard of these runs, so it takes no word about them."""

    def start(self, attempt: Attempt) -> UUID:
        """Never asked for: journeys are played here, without runs; if one were wanted, the past would be another."""
        raise AssertionError(f"a run was wanted for {attempt.key}")

    def resume(self, flow_run_id: UUID) -> bool:  # noqa: ARG002  the port's signature, here and below
        """Not taken."""
        return False

    def state(self, flow_run_id: UUID) -> RunState:  # noqa: ARG002
        """Unknown."""
        return RunState.UNKNOWN

    def states_of(self, flow_run_ids: Sequence[UUID]) -> Mapping[UUID, RunState]:
        """Unknown, all of them."""
        return dict.fromkeys(flow_run_ids, RunState.UNKNOWN)

    def ask_for_watch(self) -> None:
        """There is none."""

    def state_for_s(self, flow_run_id: UUID) -> float:  # noqa: ARG002
        """No time at all."""
        return 0.0

    def url(self, flow_run_id: UUID) -> str:  # noqa: ARG002
        """No page."""
        return ""

    def log(self, flow_run_id: UUID, limit: int) -> Sequence[LogLine]:  # noqa: ARG002
        """Nothing."""
        return ()


@dataclass(slots=True)
class _Remembered:
    """Vault, asked once for each thing: a past of months has many questions, and nobody else answers meanwhile."""

    store: SecretStore
    _pointers: dict[IntegrationKey, Pointer] = field(default_factory=dict)
    _pairs: dict[CredentialRef, Credential] = field(default_factory=dict)

    def pointer(self, key: IntegrationKey) -> Pointer:
        """The integration's pointer."""
        if key not in self._pointers:
            self._pointers[key] = self.store.pointer(key)
        return self._pointers[key]

    def write_pointer(self, key: IntegrationKey, pointer: Pointer) -> Pointer:
        """Write it in Vault."""
        self._pointers[key] = self.store.write_pointer(key, pointer)
        return self._pointers[key]

    def read(self, ref: CredentialRef) -> Credential:
        """The credential of that version."""
        if ref not in self._pairs:
            self._pairs[ref] = self.store.read(ref)
        return self._pairs[ref]


def _settings(postgres: Postgres, openbao: OpenBao) -> Settings:
    """A power cut may cost the examples, so no commit of theirs waits for the disk."""
    return settings_module.load({
        "KEYTURN_LEDGER__URL": f"{postgres.ledger_url}&options=-c%20synchronous_commit%3Doff",
        "KEYTURN_VAULT__ADDR": openbao.addr,
        "KEYTURN_VAULT__MOUNT": openbao.mount,
        "KEYTURN_VAULT__AUTH": "approle",
        "KEYTURN_VAULT__ROLE_ID": openbao.role_id,
        "KEYTURN_VAULT__SECRET_ID": openbao.secret_id,
    })  # fmt: skip
