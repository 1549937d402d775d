"""Settings in, ports out: the one place that knows which adapter serves which port.

Adapters are imported when they are first asked for, so a command that needs no Prefect does not pay for its import.
"""

from __future__ import annotations

import atexit
import functools
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn import settings as settings_module
from keyturn.domain.gate import Person
from keyturn.errors import ConfigurationError
from keyturn.ports import (
    Anchor,
    Channels,
    Clock,
    ConnectorHub,
    Fences,
    Fleet,
    Gauges,
    Ledger,
    Notifier,
    Observatory,
    Outbox,
    People,
    PersonalVault,
    ProfileWriters,
    Runs,
    SecretStore,
    Signer,
    Slots,
    Tally,
    TokenEndpoint,
    Trail,
    Visits,
)
from keyturn.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from keyturn.clients.stackone.hub import StackOneHub
    from keyturn.clients.transport import Transport
    from keyturn.clients.vault.session import VaultSession


class Ports:
    """Everything a service may ask for, each made once and only if needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def clock(self) -> Clock:
        """The system's clock; in a sandbox one that can be moved."""
        from keyturn.clients.clock import ShiftedClock, SystemClock

        file = self.settings.sandbox_clock
        return ShiftedClock(file) if file else SystemClock()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger in PostgreSQL."""
        from keyturn.ledger.repository import PostgresLedger

        return PostgresLedger(self._engine, self.clock, self.settings.ledger.lock_timeout_s)

    @cached_property
    def fences(self) -> Fences:
        """The ledger's numbers of executions, after a restore."""
        from keyturn.ledger.fences import PostgresFences

        return PostgresFences(self._engine, self.clock, self.settings.ledger.lock_timeout_s)

    @cached_property
    def outbox(self) -> Outbox:
        """What people are still to be told, in the ledger."""
        from keyturn.ledger.outbox import PostgresOutbox

        return PostgresOutbox(self._engine, self.clock, self.settings.ledger.lock_timeout_s)

    @cached_property
    def observatory(self) -> Observatory:
        """What the watch saw, in the ledger."""
        from keyturn.ledger.observatory import PostgresObservatory

        wait_s, blind_after = self.settings.ledger.lock_timeout_s, self.settings.watch.blind_after
        return PostgresObservatory(self._engine, self.clock, wait_s, blind_after)

    @cached_property
    def fleet(self) -> Fleet:
        """The fleet at a glance, in the ledger."""
        from keyturn.ledger.fleet_book import PostgresFleet

        wait_s, blind_after = self.settings.ledger.lock_timeout_s, self.settings.watch.blind_after
        return PostgresFleet(self._engine, self.clock, wait_s, blind_after)

    @cached_property
    def gauges(self) -> Gauges:
        """The fleet in numbers, in the ledger."""
        from keyturn.ledger.gauges import PostgresGauges

        return PostgresGauges(self._engine, self.clock, self.settings.ledger.lock_timeout_s)

    @cached_property
    def tally(self) -> Tally:
        """Counts what vendors are asked, in the ledger; what is left is written when the process ends."""
        from keyturn.ledger.tally import PostgresTally

        made = PostgresTally(lambda: self._engine, self.clock)
        atexit.register(made.flush)
        return made

    @cached_property
    def slots(self) -> Slots:
        """The vendors' budgets: in the ledger for all processes; on a machine without one, this process's own."""
        from keyturn.clients.process_slots import ProcessSlots
        from keyturn.ledger.budgets import PostgresSlots

        return PostgresSlots(self._engine) if self.settings.ledger.url.get_secret_value() else ProcessSlots(self.clock)

    @cached_property
    def visits(self) -> Visits:
        """Who is signed in at the console, in the ledger."""
        from keyturn.ledger.visits import PostgresVisits

        return PostgresVisits(self._engine, self.clock, self.settings.ledger.lock_timeout_s)

    @cached_property
    def trail(self) -> Trail:
        """The ledger's audit trail as a chain."""
        from keyturn.ledger.trail import PostgresTrail

        return PostgresTrail(self._engine)

    @cached_property
    def anchor(self) -> Anchor:
        """Where the trail's head is kept, in Vault."""
        from keyturn.clients.vault import anchor, session

        return anchor.VaultAnchor(session.VaultSession(self.settings.vault), self.settings.vault)

    @cached_property
    def signer(self) -> Signer:
        """What evidence is signed with, by keyturn's own sign-in."""
        from keyturn.clients.vault.session import VaultSession
        from keyturn.clients.vault.signer import VaultSigner

        return VaultSigner(VaultSession(self.settings.vault), self.settings.vault)

    @cached_property
    def secrets(self) -> SecretStore:
        """Vault with keyturn's own authority."""
        from keyturn.clients.vault.session import VaultSession
        from keyturn.clients.vault.store import VaultSecretStore

        return VaultSecretStore(VaultSession(self.settings.vault), self.settings.vault)

    @cached_property
    def channels(self) -> Channels:
        """By which channels people are told, from Vault."""
        from keyturn.clients.vault import channels, session

        return channels.VaultChannels(session.VaultSession(self.settings.vault), self.settings.vault)

    @cached_property
    def notifier(self) -> Notifier:
        """Apprise."""
        from keyturn.clients.notify import AppriseNotifier

        return AppriseNotifier()

    @cached_property
    def gong(self) -> TokenEndpoint:
        """Gong's token endpoint."""
        from keyturn.clients.gong.token_endpoint import token_endpoint

        return token_endpoint(self.settings.gong, self.clock, self.tally.count, self.slots)

    @cached_property
    def hub(self) -> ConnectorHub:
        """StackOne's platform API."""
        return self._stackone[1]

    @cached_property
    def writers(self) -> ProfileWriters:
        """The ways a profile can be written."""
        from keyturn.clients.stackone.writers import StackOneWriters

        transport, hub = self._stackone
        return StackOneWriters(self.settings.stackone, transport, hub)

    def on_behalf(self, person: Person) -> PersonalVault:
        """Vault with keyturn's own authority, for a person whom somebody else vouches for: the console's provider."""
        from keyturn.clients.vault.person import OnBehalf

        return OnBehalf(self._vault_for_people, self.settings.vault, person)

    @cached_property
    def people(self) -> People:
        """Whom Vault knows."""
        from keyturn.clients.vault.people import VaultPeople

        return VaultPeople(self._vault_for_people)

    @cached_property
    def runs(self) -> Runs:
        """Prefect."""
        from keyturn.clients.orchestrator import PrefectRuns

        return PrefectRuns()

    @cached_property
    def _vault_for_people(self) -> VaultSession:
        """One sign-in for all that is done for people: each would be a lease that Vault keeps for an hour."""
        from keyturn.clients.vault.session import VaultSession

        return VaultSession(self.settings.vault)

    @cached_property
    def _engine(self) -> Engine:
        """One pool of connections for everything that is kept in the ledger."""
        from keyturn.ledger.engine import make_engine

        return make_engine(self.settings.require_ledger_url())

    @cached_property
    def _stackone(self) -> tuple[Transport, StackOneHub]:
        """One connection and so one budget for everything that is asked of StackOne."""
        from keyturn.clients.stackone.connection import connect
        from keyturn.clients.stackone.hub import StackOneHub

        self.settings.require_stackone_key()
        transport = connect(self.settings.stackone, self.clock, count=self.tally.count, slots=self.slots)
        return transport, StackOneHub(transport)


@functools.cache
def ports() -> Ports:
    """The process's ports, from its environment. Flow runs and commands are processes of their own."""
    quiet_http()
    return Ports(settings_module.load())


def ports_to_look_with() -> Ports:
    """Ports whose budgets are this process's own, so that vendors can be looked at while the ledger is away."""
    from keyturn.clients.process_slots import ProcessSlots

    looking = Ports(ports().settings)
    looking.slots = ProcessSlots(looking.clock)
    return looking


def personal_vault(settings: Settings, environ: Mapping[str, str], home: Path) -> PersonalVault:
    """Vault with the token of the person at the keyboard.

    Raises:
        NotPermittedError: there is no such token.
    """
    from keyturn.clients.vault import person, session

    token = person.person_token(environ, home)
    return person.VaultPerson(session.VaultSession(settings.vault, token), settings.vault)


def anchor_at_hand(settings: Settings, environ: Mapping[str, str], home: Path) -> Anchor:
    """Where the trail's head is kept, for whoever is at the keyboard: keyturn itself, or a person."""
    from keyturn.clients.vault.anchor import VaultAnchor

    return VaultAnchor(_session_at_hand(settings, environ, home), settings.vault)


def signer_at_hand(settings: Settings, environ: Mapping[str, str], home: Path) -> Signer:
    """What evidence is signed with, for whoever is at the keyboard: keyturn itself, or a person."""
    from keyturn.clients.vault.signer import VaultSigner

    return VaultSigner(_session_at_hand(settings, environ, home), settings.vault)


def _session_at_hand(settings: Settings, environ: Mapping[str, str], home: Path) -> VaultSession:
    """A session by keyturn's own sign-in if there is one, otherwise with the person's token."""
    from keyturn.clients.vault.person import person_token
    from keyturn.clients.vault.session import VaultSession

    try:
        return VaultSession(settings.vault)
    except ConfigurationError:
        return VaultSession(settings.vault, person_token(environ, home))


def quiet_http() -> None:
    """Keep HTTP libraries from logging addresses: at INFO httpx logs full URLs."""
    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
