"""Where a command finds what it asks for: beside the ledger, or by the console.

By the console: `KEYTURN_CONSOLE__URL` is set, and `KEYTURN_LEDGER__URL` is not. Commands import this when they run.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from keyturn import wiring
from keyturn.cli.away import Away
from keyturn.console.api.desk import Desk
from keyturn.errors import ConfigurationError, NotPermittedError
from keyturn.ports import ConnectorHub
from keyturn.services.listed_once import ListedOnce
from keyturn.wiring import Ports

if TYPE_CHECKING:
    from keyturn.clients.console import ConsoleApi
    from keyturn.clients.console_token import Provider


def desk() -> Desk | Away:
    """Where whoever is at the keyboard sits."""
    if (remote := away()) is not None:
        return remote
    ports = wiring.ports()
    vault = cache(lambda: wiring.personal_vault(ports.settings, os.environ, Path.home()))
    return Desk(ports, lambda: vault().whoami(), vault)


def desk_for_many() -> Desk | Away:
    """The same for a command over many: who is at the keyboard is asked once, and so is StackOne for its lists.

    Raises:
        NotPermittedError: nobody is signed in.
    """
    seat = desk()
    if isinstance(seat, Away):
        return seat
    ports = seat.ports
    if (hub := _within_reach(ports)) is not None:
        ports.hub = ListedOnce(hub)
    return Desk(ports, cache(seat.who), seat.vault)


def _within_reach(ports: Ports) -> ConnectorHub | None:
    try:
        return ports.hub
    except ConfigurationError:  # whoever needs it is told
        return None


def away() -> Away | None:
    """The console, on a machine that has its address and no ledger."""
    ports = wiring.ports()
    url = ports.settings.console.url
    if url is None or ports.settings.ledger.url.get_secret_value():
        return None
    return Away(_api(ports, str(url)))


def _api(ports: Ports, url: str) -> ConsoleApi:
    from keyturn.clients.console import ConsoleApi
    from keyturn.clients.console_token import CommandTokens

    tokens = CommandTokens(os.environ, Path.home(), lambda: _provider(api, url), _signed_in)
    api = ConsoleApi(url, tokens, ports.clock)
    return api


def _provider(api: ConsoleApi, url: str) -> Provider:
    """Where the console's people sign in.

    Raises:
        NotPermittedError: nowhere but at Vault.
    """
    from keyturn.clients.console_token import Provider

    said = api.sign_in()
    if said.get("issuer") and said.get("client_id"):
        return Provider(url, said["issuer"], said["client_id"])
    remedy = f"Sign in as yourself at {said.get('vault_addr')}, e.g. `vault login -method=userpass username=…`."
    raise NotPermittedError("you", "are not signed in to Vault", f"{remedy} Then try again.")


def _signed_in(provider: Provider) -> str:
    """Have the person sign in, on whatever machine has a browser."""
    from keyturn.clients.device_flow import DeviceFlow

    return DeviceFlow(provider.issuer, provider.client_id, lambda line: typer.echo(line, err=True)).id_token()
