"""What a command over many came to, for people and for programs."""

from __future__ import annotations

from typing import Any, NoReturn

import typer

from keyturn.cli import showing
from keyturn.cli.fleet.round import BAD, Account, Outcome, What
from keyturn.services.fleet_files import Meant

_COLOURS = {What.REFUSED: "red", What.FAILED: "red", What.UNKNOWN: "yellow", What.LEFT: "yellow"}


def tell(account: Account, *, as_json: bool) -> NoReturn:
    """Say it, and exit with its code."""
    if as_json:
        showing.as_json(document(account))
    else:
        show(account)
    raise typer.Exit(account.exit_code)


def warn(account: Account) -> None:
    """Say on standard error what the document of a command has no room for: what failed, and what is left."""
    for _, outcome in account.of:
        if outcome.what in BAD and outcome.says:
            typer.echo(f"{outcome.says}{f' → {outcome.remedy}' if outcome.remedy else ''}", err=True)
    if left := account.counts.get(What.LEFT):
        typer.echo(f"{left} of {len(account.of)} are left: see --newer-than.", err=True)


def document(account: Account) -> dict[str, Any]:
    """One document for programs: counts, then every integration."""
    return {
        "command": account.command,
        "total": len(account.of),
        "counts": {what.value: count for what, count in account.counts.items()},
        "interrupted": account.interrupted,
        "gave_up": account.gave_up,
        "integrations": [_told(one, outcome) for one, outcome in account.of],
    }


def show(account: Account) -> None:
    """Each failure with what is wrong and what to do next, then the counts."""
    for one, outcome in account.of:
        if outcome.what in BAD and outcome.says:
            _show_failure(one, outcome)
    show_counts(account)


def show_counts(account: Account) -> None:
    """One line with the counts, and another one if something is left."""
    counts = account.counts
    said = ", ".join(_coloured(what, f"{count} {what}") for what, count in counts.items())
    screen = showing.console()
    screen.print(f"{account.command}: {len(account.of)} integration{'s' * (len(account.of) != 1)}: {said or 'none'}")
    if left := counts.get(What.LEFT):
        why = "Interrupted" if account.interrupted else "Given up, since one after the other failed"
        screen.print(f"{why}. What was begun is kept; the same command goes on with the {left} that are left.")
    elif counts.get(What.DONE) or counts.get(What.UNDER_WAY):
        screen.print("[dim]Nothing was started twice: what is under way or done was left as it is.[/]")


def _show_failure(one: Meant, outcome: Outcome) -> None:
    screen = showing.console()
    file = f" ({showing.plain(one.word)})" if one.key and one.word != str(one.key) else ""
    head = f"[bold]{showing.plain(one.name)}[/]{file}  {_coloured(outcome.what, outcome.what.value)}"
    screen.print(f"{head}  {showing.plain(outcome.says)}")
    if outcome.remedy:
        screen.print(f"    [dim]→ {showing.plain(outcome.remedy)}[/]")


def _coloured(what: What, text: str) -> str:
    return f"[{_COLOURS[what]}]{text}[/]" if what in _COLOURS else text


def _told(one: Meant, outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"key": str(one.key) if one.key else None, "given": one.word, "what": outcome.what.value}
    if outcome.what in BAD:
        return told | {"problem": outcome.says, "remedy": outcome.remedy, **outcome.body}
    return {**told, **({"says": outcome.says} if outcome.says else {}), **outcome.body}
