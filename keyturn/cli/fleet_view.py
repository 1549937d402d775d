"""The fleet at a glance: a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keyturn.cli import showing

if TYPE_CHECKING:
    from keyturn.console.api.shapes.fleet import Line

_HEADINGS = ("integration", "attempt", "stage", "health", "secret", "next rotation", "checked")


def show(fleet: Sequence[Line]) -> None:
    """Print a line each, and below the table who is waited for: whole lines, so that commands can be copied."""
    showing.table(_HEADINGS, [_row(line) for line in fleet])
    for line in fleet:
        if line.waits_for:
            key, who = showing.plain(line.key), showing.plain(line.waits_for)
            showing.console().print(f"[bold]{key}[/] waits for {who}")


def _row(line: Line) -> tuple[str, ...]:
    return (
        showing.plain(line.key),
        line.says,
        f"{line.stages_done}/{line.stages} {line.stage}".strip(),
        _coloured(line),
        f"{line.secret_age_days} d" if line.secret_age_days is not None else "",
        f"{line.next_rotation_at:%Y-%m-%d}" if line.next_rotation_at else "",
        showing.when(line.checked_at),
    )


def _coloured(line: Line) -> str:
    colour = "red" if line.raised else {"ok": "green"}.get(line.health, "yellow")
    return f"[{colour}]{line.health}[/]"
