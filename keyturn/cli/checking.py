"""`keyturn check`: look at integrations now, as the watch does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn.cli.away import Away
    from keyturn.console.api.desk import Desk
    from keyturn.console.api.shapes.looks import Checked, Look
    from keyturn.domain.integration import IntegrationKey


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(check)


def check(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="One integration, or the path of a manifest.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All integrations.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for drift now, as the watch does, and keep it. Exit 1 if there is any, 3 if something is unknown."""
    from keyturn.cli import remote, showing

    desk = remote.desk()
    checked = _checked(desk, _keys(desk, key, everything=everything))
    if as_json:
        showing.as_json([one.model_dump(exclude={"observations": {"__all__": {"hint"}}}) for one in checked])
    else:
        for one in checked:
            _show(one)
    raise typer.Exit(_exit_code(checked))


def _keys(desk: Desk | Away, key: str | None, *, everything: bool) -> Sequence[IntegrationKey]:
    from keyturn.cli.manifest_of import named
    from keyturn.errors import ConfigurationError

    if everything:
        return desk.integrations()
    if key is None:
        raise ConfigurationError("keyturn check", "which integration?", "Name one, or give --all.")
    return [named(key)]


def _checked(desk: Desk | Away, keys: Sequence[IntegrationKey]) -> Sequence[Checked]:
    """Check with a progress bar, where somebody can see it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from keyturn.cli import showing

    columns = TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    screen = showing.console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("", total=len(keys))
        return desk.check(keys, lambda one: progress.update(bar, advance=1, description=showing.plain(one)))


def _exit_code(checked: Sequence[Checked]) -> int:
    if any(one.is_bad for one in checked):
        return 1
    return 3 if any(one.is_unknown for one in checked) else 0


def _show(one: Checked) -> None:
    """A line a finding and one for its remedy, never broken or cut, so that commands can be copied."""
    from keyturn.cli import showing

    screen, found = showing.console(), _findings(one)
    well = "[green]ok[/]" if one.onboarded else "[dim]never onboarded to its end[/]"
    screen.print(f"[bold]{showing.plain(one.key)}[/]  {'' if found else well}".rstrip())
    for cause, evidence, remedy in found:
        screen.print(f"  {cause}  {showing.plain(evidence)}")
        if remedy:
            screen.print(f"    [dim]→ {showing.plain(remedy)}[/]")


def _findings(one: Checked) -> list[tuple[str, str, str]]:
    """Drifts first, then what is not well without being one, then what is not known."""
    found = [(f"[red]{d.cause}[/]", d.evidence, d.remedy) for d in one.drifts]
    found += [("[yellow]not well[/]", f"{o.subject}: {o.evidence}", "") for o in _on_purpose(one)]
    found += [("[yellow]unknown[/]", f"{o.subject}: {o.evidence}", "") for o in _unknown(one)]
    return found + ([("[yellow]unknown[/]", one.problem, "")] if one.problem else [])


def _on_purpose(one: Checked) -> list[Look]:
    return [o for o in one.observations if o.outcome == "bad" and o.hint is None]


def _unknown(one: Checked) -> list[Look]:
    return [o for o in one.observations if o.outcome == "unknown"]
