"""`keyturn console`: serve the web console, sign in to it on one's own machine, and sign others out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson, KeyOrCommand

if TYPE_CHECKING:
    from keyturn.domain.gate import Person
    from keyturn.settings import Settings
    from keyturn.wiring import Ports

app = typer.Typer(
    cls=KeyOrCommand,
    help="The web console: `keyturn console` serves it.",
    no_args_is_help=False,
)


@app.command()
def serve(
    *,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on. Default: as in the settings.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one. Default: as in the settings."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve the console until Ctrl-C. Exit 2 if its settings or the ledger's tables are not ready for it."""
    from keyturn import settings as settings_module
    from keyturn.cli import showing
    from keyturn.console import premises
    from keyturn.console.serve import serve as run
    from keyturn.wiring import Ports, quiet_http

    settings = _listening(settings_module.load(), host, port)
    premises.check_serving(settings.console)
    _require_tables(settings)
    quiet_http()
    tell = (
        (lambda url: showing.as_json({"url": url})) if as_json else (lambda url: typer.echo(f"the console is at {url}"))
    )
    run(Ports(settings), tell)


@app.command()
def link(*, as_json: AsJson = False) -> None:
    """Make a link that signs you in to a console on this machine, once, within five minutes."""
    from keyturn import wiring
    from keyturn.cli import showing
    from keyturn.console.sign_in.offer import offer

    ports = wiring.ports()
    made = offer(ports, _person(ports))
    if as_json:
        showing.as_json({"url": made.url, "ends_at": made.ends_at})
        return
    typer.echo(made.url)
    typer.echo(f"Works once, until {made.ends_at:%H:%M} UTC.", err=True)


@app.command("sign-out")
def sign_out(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Their id as the audit trail has it, or their name.")],
    *,
    as_json: AsJson = False,
) -> None:
    """End every session of somebody at the console. Only for operators."""
    from keyturn import wiring
    from keyturn.cli import showing
    from keyturn.errors import NotPermittedError

    ports = wiring.ports()
    by = _person(ports)
    if "operator" not in by.groups:
        raise NotPermittedError(by.name, "is no operator", "Ask one of them to do it.")
    ended = ports.visits.end_all(person, by)
    if as_json:
        showing.as_json({"person": person, "ended": ended})
    else:
        typer.echo(f"{person}: {ended or 'no'} session{'' if ended == 1 else 's'} ended")


def _listening(settings: Settings, host: str | None, port: int | None) -> Settings:
    """The settings, with what the command line says about where to listen."""
    given = {"host": host, "port": port}
    console = settings.console.model_copy(update={name: value for name, value in given.items() if value is not None})
    return settings.model_copy(update={"console": console})


def _require_tables(settings: Settings) -> None:
    """Refuse to serve from a ledger of an older keyturn; one that goes away later is told by `/readyz`."""
    from keyturn.errors import ConfigurationError
    from keyturn.ledger import migrate

    if pending := migrate.lacking(settings.require_ledger_url()):
        raise ConfigurationError("the ledger", f"lacks {', '.join(pending)}", "Run `keyturn db upgrade` first.")


def _person(ports: Ports) -> Person:
    from keyturn import wiring

    return wiring.personal_vault(ports.settings, os.environ, Path.home()).whoami()
