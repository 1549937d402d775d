"""The kit on a terminal, and in files."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from keyturn.console.api.shapes.kits import Kit, KitFiles, KitScreen
    from keyturn.console.api.shapes.questions import Gate


def show_kit(key: str, kit: Kit) -> None:
    """Print Gong's form, filled in, screen by screen."""
    from keyturn.cli import showing

    screen = showing.console()
    screen.print(f"[bold]Kit for {showing.plain(key)}[/]  digest {kit.digest[:12]} [dim]{kit.digest[12:]}[/]")
    _show_warnings(kit)
    show_steps(kit.steps)


def show_turn(gate: Gate) -> None:
    """Print what to click for a rotation, on standard error: the answer is typed below it."""
    from keyturn.cli import showing

    if gate.kit is None:
        return
    _show_warnings(gate.kit, stderr=True)
    if because := gate.question.get("refused_because"):
        showing.console(stderr=True).print(f"[red]the last one was refused:[/] {showing.plain(because)}")
    show_steps(gate.kit.steps, stderr=True)


def show_asked(gate: Gate) -> None:
    """Print what an approver says yes to: the kit, or the steps of a rotation."""
    if gate.kit is not None:
        show_kit(gate.key, gate.kit)
        return
    from keyturn.cli import showing

    screen = showing.console()
    screen.print(f"[bold]Rotation of {showing.plain(gate.key)}[/]  digest {gate.digest[:12]}")
    if warning := gate.question.get("warning"):
        screen.print(f"[red]{showing.plain(warning)}[/]")
    for number, step in enumerate(gate.steps, 1):
        screen.print(f"{number}. {showing.plain(step)}")


def show_steps(steps: Sequence[KitScreen], *, stderr: bool = False) -> None:
    """Print the steps of a form, numbered."""
    from keyturn.cli import showing

    screen = showing.console(stderr=stderr)
    for number, step in enumerate(steps, 1):
        path = f"  [dim]{showing.plain(' > '.join(step.path))}[/]" if step.path else ""
        screen.print(f"\n[bold]{number}. {showing.plain(step.title)}[/]{path}")
        for field in step.fields:
            value = " · ".join(field.values)
            note = f"  [dim]{showing.plain(field.note)}[/]" if field.note else ""
            screen.print(f"   {showing.plain(field.label)}: [cyan]{showing.plain(value)}[/]{note}")
        if step.then:
            screen.print(f"   → {showing.plain(step.then)}")


def write_kit(files: KitFiles, folder: Path) -> None:
    """Write the kit as Markdown and both logos as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kit.md").write_text(files.markdown, encoding="utf-8")
    (folder / "logo-large.png").write_bytes(base64.b64decode(files.logo_large))
    (folder / "logo-small.png").write_bytes(base64.b64decode(files.logo_small))
    typer.echo(f"written: {folder}/kit.md, logo-large.png, logo-small.png", err=True)


def _show_warnings(kit: Kit, *, stderr: bool = False) -> None:
    from keyturn.cli import showing

    for warning in kit.warnings:
        showing.console(stderr=stderr).print(f"[yellow]mind:[/] {showing.plain(warning)}")
