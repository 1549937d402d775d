"""The kit on a terminal, in files and as JSON."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from keyturn.domain.gate import Gate
    from keyturn.domain.kit import KitStep
    from keyturn.domain.manifest import SealedManifest


def show_kit(sealed: SealedManifest, admin_url: str) -> None:
    """Print Gong's form, filled in, screen by screen."""
    from keyturn.cli import showing
    from keyturn.domain.kit import kit

    made = kit(sealed, admin_url)
    screen = showing.console()
    screen.print(f"[bold]Kit for {showing.plain(made.key)}[/]  digest {made.digest[:12]} [dim]{made.digest[12:]}[/]")
    for warning in made.warnings:
        screen.print(f"[yellow]mind:[/] {showing.plain(warning)}")
    show_steps(made.steps)


def show_turn(sealed: SealedManifest, gate: Gate, admin_url: str) -> None:
    """Print what to click for a rotation, on standard error: the answer is typed below it."""
    from keyturn.cli import showing
    from keyturn.domain.turn_kit import turn_kit

    made = turn_kit(sealed, gate.question, admin_url)
    for warning in made.warnings:
        showing.console(stderr=True).print(f"[yellow]mind:[/] {showing.plain(warning)}")
    if because := gate.question.get("refused_because"):
        showing.console(stderr=True).print(f"[red]the last one was refused:[/] {showing.plain(because)}")
    show_steps(made.steps, stderr=True)


def show_rotation(sealed: SealedManifest, gate: Gate, now: datetime) -> None:
    """Print what an approver of a rotation says yes to."""
    from keyturn.cli import showing
    from keyturn.domain.attempt import Terms
    from keyturn.services.rotation.asking import what_would_happen

    screen = showing.console()
    screen.print(f"[bold]Rotation of {showing.plain(gate.key)}[/]  digest {gate.digest[:12]}")
    if warning := gate.question.get("warning"):
        screen.print(f"[red]{showing.plain(warning)}[/]")
    for number, step in enumerate(what_would_happen(sealed, Terms(second=bool(warning)), now), 1):
        screen.print(f"{number}. {showing.plain(step)}")


def show_stackone_form(sealed: SealedManifest, dashboard_url: str) -> None:
    """Print StackOne's form, field by field, on standard error: standard output is for the token."""
    from keyturn.domain.kit import stackone_steps

    show_steps(stackone_steps(sealed, dashboard_url), stderr=True)


def show_steps(steps: tuple[KitStep, ...], *, stderr: bool = False) -> None:
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


def write_kit(sealed: SealedManifest, admin_url: str, folder: Path) -> None:
    """Write the kit as Markdown and both logos as PNG."""
    from keyturn.domain.kit import kit, render_markdown

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kit.md").write_text(render_markdown(kit(sealed, admin_url)), encoding="utf-8")
    (folder / "logo-large.png").write_bytes(base64.b64decode(sealed.logo_large))
    (folder / "logo-small.png").write_bytes(base64.b64decode(sealed.logo_small))
    typer.echo(f"written: {folder}/kit.md, logo-large.png, logo-small.png", err=True)


def kit_json(sealed: SealedManifest, admin_url: str) -> dict[str, object]:
    """The kit as JSON, without the images."""
    from keyturn.domain.kit import kit

    made = kit(sealed, admin_url)
    steps = [asdict(s) for s in made.steps]
    for step in steps:
        for field in step["fields"]:
            field.pop("image", None)
    return {"digest": made.digest, "warnings": list(made.warnings), "steps": steps}
