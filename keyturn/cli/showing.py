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

    from keyturn.domain.gate import Gate
    from keyturn.domain.verdict import Verdict
    from keyturn.services.journey import Journey

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

    attempt = journey.attempt
    head = f"[bold]{plain(journey.key)}[/]"
    if attempt is None:
        return Tree(f"{head}  never onboarded")
    reason = f"  {plain(attempt.reason)}" if attempt.reason else ""
    state = f"[bold]{journey.rotation or attempt.state}[/]"
    tree = Tree(f"{head}  {attempt.kind} {attempt.id}  {state}  digest {attempt.digest[:12]}{reason}")
    for step in journey.steps:
        says = f"  [dim]{when(step.at)}[/]  {plain(step.says)}" if step.at or step.says else ""
        tree.add(f"{mark(step.state)} {step.stage}{says}")
    return tree


def journey_json(journey: Journey) -> dict[str, object]:
    """A journey as JSON."""
    attempt = journey.attempt
    return {
        "key": str(journey.key),
        "attempt": str(attempt.id) if attempt else None,
        "kind": attempt.kind.value if attempt else None,
        "state": attempt.state.value if attempt else None,
        "rotation": journey.rotation.value if journey.rotation else None,
        "halt": attempt.halt.value if attempt else "",
        "digest": attempt.digest if attempt else None,
        "flow_run": str(attempt.flow_run_id) if attempt and attempt.flow_run_id else None,
        "reason": attempt.reason if attempt else "",
        "stages": [{"name": s.stage.value, "status": s.state.value, "at": s.at, "says": s.says} for s in journey.steps],
    }


def gate_json(gate: Gate) -> dict[str, object]:
    """A gate as JSON."""
    return {
        "id": str(gate.id),
        "key": str(gate.key),
        "kind": gate.kind.value,
        "digest": gate.digest,
        "state": gate.state.value,
        "groups": list(gate.groups),
        "needed": gate.needed,
        "approvals": gate.approvals,
        "channel": gate.channel.value,
        "opened_at": gate.opened_at,
        "rearm_at": gate.rearm_at,
        "question": dict(gate.question),
    }


def show_verdict(verdict: Verdict) -> None:
    """Print a verdict, layer by layer."""
    from keyturn.domain.verdict import LAYER_MEANING

    rows = [
        (r.layer.value, LAYER_MEANING[r.layer], mark(r.status), plain(r.evidence), plain(r.remedy))
        for r in verdict.layers
    ]
    table(("layer", "what it says", "status", "evidence", "what to do"), rows)
