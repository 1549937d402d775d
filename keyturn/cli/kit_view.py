"""The kit on a terminal, in files and as JSON."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
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
