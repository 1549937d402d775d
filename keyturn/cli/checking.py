"""`keyturn check`: look at integrations now, as the watch does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson, AtOnce, Keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from keyturn.cli.away import Away
    from keyturn.console.api.desk import Desk
    from keyturn.console.api.shapes.looks import Checked, Look
    from keyturn.services.fleet_files import Meant


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(check)


def check(
    keys: Keys = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every registered integration.")] = False,
    at_once: AtOnce = None,
    newer_than: Annotated[
        str,
        typer.Option(
            "--newer-than",
            metavar="DURATION",
            help="Of several, leave out what was found well within so long: 90m, 36h.",
        ),
    ] = "0",
    as_json: AsJson = False,
) -> None:
    """Look for drift now, as the watch does, and keep it. Exit 1 if there is any, 3 if something is unknown."""
    from keyturn.cli import remote
    from keyturn.cli.fleet import choosing
    from keyturn.cli.manifest_of import named

    desk = remote.desk()
    if choosing.is_one(keys, everything=everything):
        checked = desk.check([named(str(*keys or ()))], at_once=at_once)
        _tell(checked, as_json=as_json)
        raise typer.Exit(_exit_code(checked))
    meant = choosing.by_key(desk, keys, "check", everything=everything)
    _many(desk, meant, at_once, choosing.duration(newer_than), as_json=as_json)


def _many(
    desk: Desk | Away, meant: Sequence[Meant], at_once: int | None, newer_than: timedelta, *, as_json: bool
) -> None:
    from keyturn.cli.fleet import summary
    from keyturn.cli.fleet.checking import Looking

    looked = Looking(desk, at_once, newer_than, quiet=as_json).go(meant)
    _tell(looked.checked, as_json=as_json)
    told = [one for one in looked.account.of if one[1].says]
    if as_json:
        summary.warn(looked.account)
    elif len(meant) > 1 or told:
        summary.show(looked.account)
    raise typer.Exit(looked.account.exit_code)


def _tell(checked: Sequence[Checked], *, as_json: bool) -> None:
    from keyturn.cli import showing

    if as_json:
        showing.as_json([one.model_dump(exclude={"observations": {"__all__": {"hint"}}}) for one in checked])
        return
    for one in checked:
        _show(one)


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
