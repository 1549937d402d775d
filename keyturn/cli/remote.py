"""Where a command finds what it asks for: beside the ledger, or by the console.

By the console: `KEYTURN_CONSOLE__URL` is set, and `KEYTURN_LEDGER__URL` is not. Commands import this when they run.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import typer

from keyturn import wiring
from keyturn.cli.away import Away
from keyturn.clients.console import ConsoleApi
from keyturn.clients.console_token import CommandTokens, Provider
from keyturn.clients.device_flow import DeviceFlow
from keyturn.console.api.desk import Desk
from keyturn.errors import NotPermittedError
from keyturn.wiring import Ports


def desk() -> Desk | Away:
    """Where whoever is at the keyboard sits."""
    if (remote := away()) is not None:
        return remote
    ports = wiring.ports()
    vault = cache(lambda: wiring.personal_vault(ports.settings, os.environ, Path.home()))
    return Desk(ports, lambda: vault().whoami(), vault)


def away() -> Away | None:
    """The console, on a machine that has its address and no ledger."""
    ports = wiring.ports()
    url = ports.settings.console.url
    if url is None or ports.settings.ledger.url.get_secret_value():
        return None
    return Away(_api(ports, str(url)))


def _api(ports: Ports, url: str) -> ConsoleApi:
    tokens = CommandTokens(os.environ, Path.home(), lambda: _provider(api, url), _signed_in)
    api = ConsoleApi(url, tokens, ports.clock)
    return api


def _provider(api: ConsoleApi, url: str) -> Provider:
    """Where the console's people sign in.

    Raises:
        NotPermittedError: nowhere but at Vault.
    """
    said = api.sign_in()
    if said.get("issuer") and said.get("client_id"):
        return Provider(url, said["issuer"], said["client_id"])
    remedy = f"Sign in as yourself at {said.get('vault_addr')}, e.g. `vault login -method=userpass username=…`."
    raise NotPermittedError("you", "are not signed in to Vault", f"{remedy} Then try again.")


def _signed_in(provider: Provider) -> str:
    """Have the person sign in, on whatever machine has a browser."""
    return DeviceFlow(provider.issuer, provider.client_id, lambda line: typer.echo(line, err=True)).id_token()
