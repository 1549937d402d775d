"""How commands print: tables and trees for people, JSON for programs. Never a secret."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

    from keyturn.console.api.shapes.attempts import Journey
    from keyturn.console.api.shapes.looks import Verdict

_MARKS = {
    "done": "[green]✔[/]",
    "next": "[cyan]▶[/]",
    "waiting": "[yellow]…[/]",
    "stopped": "[red]✘[/]",
    "later": "[dim]·[/]",
    "passed": "[green]passed[/]",
    "failed": "[red]failed[/]",
    "not tested": "[yellow]not tested[/]",
    "error": "[red]error[/]",
    "warning": "[yellow]warning[/]",
    "notice": "[dim]notice[/]",
}


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error, for people."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, stderr=stderr)


def as_json(body: object) -> None:
    """Print JSON, with times in ISO 8601."""
    typer.echo(json.dumps(body, default=str, indent=2))


def mark(word: str) -> str:
    """A word as a coloured mark."""
    return _MARKS.get(word, word)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print a table; cells may carry marks, so text from outside must be escaped by the caller with `plain`."""
    from rich import box
    from rich.table import Column, Table

    columns = (Column(heading, overflow="fold") for heading in headings)  # a word too long is folded, and never cut
    grid = Table(*columns, title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for row in rows:
        grid.add_row(*row)
    console().print(grid)


def plain(text: object) -> str:
    """Text from outside, with rich's markup made harmless."""
    from rich.markup import escape

    return escape(str(text))


def when(moment: datetime | None) -> str:
    """A time for people, to the minute, in their own zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""


def journey_tree(journey: Journey) -> Tree:
    """A journey as a tree of stages."""
    from rich.tree import Tree

    head = f"[bold]{plain(journey.key)}[/]"
    if journey.attempt is None:
        return Tree(f"{head}  never onboarded")
    reason = f"  {plain(journey.reason)}" if journey.reason else ""
    state = f"[bold]{journey.rotation or journey.state}[/]"
    tree = Tree(f"{head}  {journey.kind} {journey.attempt}  {state}  digest {(journey.digest or '')[:12]}{reason}")
    for step in journey.stages:
        says = f"  [dim]{when(step.at)}[/]  {plain(step.says)}" if step.at or step.says else ""
        tree.add(f"{mark(step.status)} {step.name}{says}")
    return tree


def show_verdict(verdict: Verdict) -> None:
    """Print a verdict, layer by layer."""
    from keyturn.domain.verdict import LAYER_MEANING

    rows = [
        (r.layer.value, LAYER_MEANING[r.layer], mark(r.status), plain(r.evidence), plain(r.remedy))
        for r in verdict.layers
    ]
    table(("layer", "what it says", "status", "evidence", "what to do"), rows)
