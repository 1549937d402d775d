"""`keyturn db`: the ledger's tables."""

from __future__ import annotations

from typing import Annotated

import typer

from keyturn.cli.options import AsJson

app = typer.Typer(help="The ledger's tables: which migrations are pending, and applying them.", no_args_is_help=True)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Say which migration the ledger is at and which are pending; exit 1 if any is."""
    from keyturn.cli import showing
    from keyturn.ledger import migrate

    url = _url()
    current, pending = migrate.current(url), migrate.pending(url)
    if as_json:
        showing.as_json({"current": current, "pending": pending})
    else:
        typer.echo(f"current: {current or 'none'}")
        typer.echo(f"pending: {', '.join(pending) or 'none'}")
    raise typer.Exit(1 if pending else 0)


@app.command()
def upgrade(*, as_json: AsJson = False) -> None:
    """Apply every pending migration. Safe to run from several machines at once."""
    from keyturn.cli import showing
    from keyturn.ledger import migrate

    url = _url()
    pending = migrate.pending(url)
    migrate.upgrade(url)
    if as_json:
        showing.as_json({"applied": pending, "current": migrate.current(url)})
    else:
        typer.echo(f"applied: {', '.join(pending) or 'nothing was pending'}")


@app.command()
def downgrade(
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="The revision to go back to, or `base` for none.")
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Going back removes what later tables hold.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go back to an earlier migration."""
    from keyturn.cli import showing
    from keyturn.ledger import migrate

    url = _url()
    if not yes:
        typer.confirm(f"Going back to {revision} removes what later tables hold. Go on?", abort=True, err=True)
    migrate.downgrade(url, revision)
    current = migrate.current(url)
    if as_json:
        showing.as_json({"current": current})
    else:
        typer.echo(f"current: {current or 'none'}")


@app.command()
def restored(*, as_json: AsJson = False) -> None:
    """Say that the ledger was restored from a backup: its executions go on with numbers that none before has had."""
    import os
    from pathlib import Path

    from keyturn import wiring
    from keyturn.cli import showing
    from keyturn.services.restored import raise_fences

    ports = wiring.ports()
    person = wiring.personal_vault(ports.settings, os.environ, Path.home()).whoami()
    raised = raise_fences(ports.ledger, ports.fences, ports.secrets, person)
    if as_json:
        showing.as_json([{"key": str(one.key), "attempt": str(one.id), "fence": one.fence} for one in raised])
    else:
        for one in raised:
            typer.echo(f"{one.key}: its executions go on from number {one.fence}")
        typer.echo(f"active attempts: {len(raised)}; now run `keyturn doctor --deep`")


def _url() -> str:
    from keyturn import settings

    return settings.load().require_ledger_url()
