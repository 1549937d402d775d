"""`keyturn onboard`: start a run or go on with it, and watch it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson, Key

if TYPE_CHECKING:
    from keyturn.domain.integration import IntegrationKey
    from keyturn.services.journey import Journey
    from keyturn.services.start import Started
    from keyturn.wiring import Ports

_POLL_S = 1.0
_UNDER_WAY = "is under way already; if its worker has died, --restart starts another run"


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(onboard)


def onboard(
    key: Key,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and show the stages until the attempt ends.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start another run even if Prefect says that one is under way.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Onboard an integration, or go on with its active attempt. Exit 1 if, watched, it does not complete."""
    from keyturn import wiring
    from keyturn.cli import showing
    from keyturn.cli.manifest_of import sealed_of
    from keyturn.services.journey import journey
    from keyturn.services.start import start

    ports = wiring.ports()
    person = wiring.personal_vault(ports.settings, os.environ, Path.home()).whoami()
    sealed = sealed_of(ports, key)
    started = start(ports.ledger, ports.runs, sealed, person, restart=restart)
    if not as_json:
        _say(ports, started)
    if watch:
        raise typer.Exit(_watch(ports, sealed.key, quiet=as_json))
    if as_json:
        showing.as_json(showing.journey_json(journey(ports.ledger, sealed.key)) | {"created": started.opened.created})


def _say(ports: Ports, started: Started) -> None:
    attempt, opened = started.attempt, started.opened
    if opened.created:
        what = "started"
    else:
        what = "has a new manifest; its approval is asked for again" if opened.changed else _UNDER_WAY
    typer.echo(f"{attempt.key}: attempt {attempt.id} {what} (digest {attempt.digest[:12]})")
    if started.run_started and not opened.created:
        typer.echo("Its last run was over; a new one goes on from the receipts.")
    url = ports.runs.url(attempt.flow_run_id) if attempt.flow_run_id else ""
    if url:
        typer.echo(url)


def _watch(ports: Ports, key: IntegrationKey, *, quiet: bool) -> int:
    """Show the stages as they change; returns the exit code."""
    from rich.live import Live

    from keyturn.cli import showing
    from keyturn.services.journey import journey

    now = journey(ports.ledger, key)
    shown = nullcontext() if quiet else Live(showing.journey_tree(now), console=showing.console(), refresh_per_second=4)
    with shown as live:
        while now.attempt and now.attempt.ended_at is None and not _run_is_over(ports, now.attempt.flow_run_id):
            ports.clock.sleep(_POLL_S)
            now = journey(ports.ledger, key)
            if live is not None:
                live.update(showing.journey_tree(now))
        now = journey(ports.ledger, key)
        if live is not None:
            live.update(showing.journey_tree(now))
            _say_if_stuck(now)
    if quiet:
        showing.as_json(showing.journey_json(now))
    return 0 if now.attempt and now.attempt.state == "completed" else 1


def _say_if_stuck(now: Journey) -> None:
    if now.attempt and now.attempt.ended_at is None:
        typer.echo(
            "Its Prefect run is over and says why; correct that, and `keyturn onboard` goes on from the receipts."
        )


def _run_is_over(ports: Ports, flow_run_id: object) -> bool:
    """Whether Prefect ended the run while the attempt is still active: then somebody must look at it."""
    from uuid import UUID

    from keyturn.ports import RunState

    return isinstance(flow_run_id, UUID) and ports.runs.state(flow_run_id) is RunState.ENDED
