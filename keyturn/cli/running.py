"""`keyturn onboard`: start a run or go on with it, and watch it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from keyturn.cli.options import AT_ONCE, AsJson, AtOnce, Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn.cli.away import Away
    from keyturn.console.api.desk import Desk
    from keyturn.console.api.shapes.attempts import Onboarding, Progress

_POLL_S = 1.0
_UNDER_WAY = "is under way already; if its worker has died, --restart starts another run"


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(onboard)


def onboard(
    keys: Keys = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every manifest of the manifests' folder.")] = False,
    at_once: AtOnce = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and show the stages until the attempt ends.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start another run even if Prefect says that one is under way.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Onboard an integration, or go on with its active attempt. Exit 1 if, watched, it does not complete.

    Of several, those whose onboarding by the same manifest was completed are left alone, so it can be repeated.
    """
    from keyturn.cli import remote, showing
    from keyturn.cli.fleet import choosing

    if not choosing.is_one(keys, everything=everything):
        _many(keys, at_once or AT_ONCE, everything=everything, watch=watch, restart=restart, as_json=as_json)
    desk = remote.desk()
    begun = desk.onboard(str(*keys or ()), restart=restart)
    if not as_json:
        _say(begun)
    if watch:
        raise typer.Exit(_watch(desk, begun, quiet=as_json))
    if as_json:
        showing.as_json(begun.model_dump(exclude={"changed", "run_started", "run_url"}))


def _many(
    words: Sequence[str] | None, at_once: int, *, everything: bool, watch: bool, restart: bool, as_json: bool
) -> NoReturn:
    from keyturn.cli import remote
    from keyturn.cli.fleet import onboarding
    from keyturn.errors import ConfigurationError

    if watch:
        raise ConfigurationError("--watch", "shows the stages of one integration", "Use `keyturn status` for several.")
    desk = remote.desk_for_many()
    onboarding.onboard(desk, words, at_once, everything=everything, restart=restart, as_json=as_json)


def _say(begun: Onboarding) -> None:
    if begun.created:
        what = "started"
    else:
        what = "has a new manifest; its approval is asked for again" if begun.changed else _UNDER_WAY
    typer.echo(f"{begun.key}: attempt {begun.attempt} {what} (digest {(begun.digest or '')[:12]})")
    if begun.run_started and not begun.created:
        typer.echo("Its last run was over; a new one goes on from the receipts.")
    if begun.run_url:
        typer.echo(begun.run_url)


def _watch(desk: Desk | Away, begun: Onboarding, *, quiet: bool) -> int:
    """Show the stages as they change; returns the exit code."""
    from rich.live import Live

    from keyturn import wiring
    from keyturn.cli import showing
    from keyturn.domain.integration import IntegrationKey

    key, clock = IntegrationKey.parse(begun.key), wiring.ports().clock
    now = desk.progress(key, ask_prefect=True)
    shown = nullcontext() if quiet else Live(showing.journey_tree(now), console=showing.console(), refresh_per_second=4)
    with shown as live:
        while _goes_on(now):
            clock.sleep(_POLL_S)
            now = desk.progress(key, ask_prefect=True)
            if live is not None:
                live.update(showing.journey_tree(now))
        now = desk.progress(key)
        if live is not None:
            live.update(showing.journey_tree(now))
            _say_if_stuck(now)
    if quiet:
        showing.as_json(now.model_dump(exclude={"run"}))
    return 0 if now.state == "completed" else 1


def _goes_on(now: Progress) -> bool:
    """Whether it may still move: not if Prefect ended the run of an active attempt, for then somebody must look."""
    return now.state == "active" and now.run != "ended"


def _say_if_stuck(now: Progress) -> None:
    if now.state == "active":
        typer.echo(
            "Its Prefect run is over and says why; correct that, and `keyturn onboard` goes on from the receipts."
        )
