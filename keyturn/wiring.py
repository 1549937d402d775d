"""Settings in, ports out: the one place that knows which adapter serves which port.

Adapters are imported when they are first asked for, so a command that needs no Prefect does not pay for its import.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from keyturn import settings as settings_module
from keyturn.errors import NotPermittedError
from keyturn.ports import (
    Clock,
    ConnectorHub,
    Ledger,
    PersonalVault,
    ProfileWriters,
    Runs,
    SecretStore,
    TokenEndpoint,
)
from keyturn.settings import Settings


class Ports:
    """Everything a service may ask for, each made once and only if needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def clock(self) -> Clock:
        """The system's clock."""
        from keyturn.clients.clock import SystemClock

        return SystemClock()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger in PostgreSQL."""
        from keyturn.ledger.engine import make_engine
        from keyturn.ledger.repository import PostgresLedger

        url = self.settings.require_ledger_url()
        return PostgresLedger(make_engine(url), self.clock, self.settings.ledger.lock_timeout_s)

    @cached_property
    def secrets(self) -> SecretStore:
        """Vault with keyturn's own authority."""
        from keyturn.clients.vault.session import VaultSession
        from keyturn.clients.vault.store import VaultSecretStore

        return VaultSecretStore(VaultSession(self.settings.vault))

    @cached_property
    def gong(self) -> TokenEndpoint:
        """Gong's token endpoint."""
        from keyturn.clients.gong.token_endpoint import GongTokenEndpoint

        return GongTokenEndpoint(self.settings.gong, self.clock)

    @cached_property
    def hub(self) -> ConnectorHub:
        """StackOne's platform API."""
        from keyturn.clients.stackone.hub import StackOneHub

        return StackOneHub(self.settings.stackone, self.clock)

    @cached_property
    def writers(self) -> ProfileWriters:
        """The ways a profile can be written."""
        from keyturn.clients.stackone.writers import StackOneWriters

        return StackOneWriters(self.settings.stackone, self.clock)

    @cached_property
    def runs(self) -> Runs:
        """Prefect."""
        from keyturn.clients.orchestrator import PrefectRuns

        return PrefectRuns()


@functools.cache
def ports() -> Ports:
    """The process's ports, from its environment. Flow runs and commands are processes of their own."""
    quiet_http()
    return Ports(settings_module.load())


def personal_vault(settings: Settings, environ: Mapping[str, str], home: Path) -> PersonalVault:
    """Vault with the token of the person at the keyboard.

    Raises:
        NotPermittedError: there is no such token.
    """
    from keyturn.clients.vault.person import VaultPerson, person_token

    token = person_token(environ, home)
    if not token:
        raise NotPermittedError(
            "you",
            "Vault does not know who you are",
            "Sign in with `vault login` (or `bao login`), or set VAULT_TOKEN to your own token.",
        )
    return VaultPerson(settings.vault, token)


def quiet_http() -> None:
    """Keep HTTP libraries from logging addresses: at INFO httpx logs full URLs."""
    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
