"""Commands that need no server: `lint`, `schema`; and those that bring their own: `sandbox`, `demo`."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson

if TYPE_CHECKING:
    from keyturn.domain.finding import Finding

_STATE = Path("var/sandbox")
_CLUSTER_STATE = Path("var/cluster")
_sandbox = typer.Typer(invoke_without_command=True)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(lint)
    app.command()(schema)
    app.add_typer(_sandbox, name="sandbox")
    app.command()(demo)


def lint(
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY", help="Keys or files; none: all.")] = None,
    *,
    online: Annotated[bool, typer.Option("--online", help="Also ask whether the links answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check manifests: every fault at once, with line numbers. Exit 2 if one has an error."""
    from keyturn import settings
    from keyturn.cli import showing
    from keyturn.services import manifests

    folder = settings.load().manifests
    paths = [manifests.find(folder, k) for k in keys] if keys else manifests.every(folder)
    found = {str(p): _findings(p, online=online) for p in paths}
    if as_json:
        showing.as_json({p: [_as_dict(f) for f in fs] for p, fs in found.items()})
    else:
        for path, findings in found.items():
            _show(path, findings)
    if not paths:
        typer.secho(f"no manifests in {folder}", err=True, fg=typer.colors.RED)
    faulty = not paths or any(f.severity == "error" for fs in found.values() for f in fs)
    raise typer.Exit(2 if faulty else 0)


def schema() -> None:
    """Print the JSON Schema of manifests, for editors."""
    from keyturn.services import manifests

    typer.echo(json.dumps(manifests.schema(), indent=2))


@_sandbox.callback()
def sandbox(
    context: typer.Context,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", help="Folder that keeps everything; can be resumed.", show_default=str(_STATE), metavar="PATH"
        ),
    ] = None,
    *,
    fleet: Annotated[
        bool, typer.Option("--fleet/--no-fleet", help="Whether a new folder begins with 25 example integrations.")
    ] = True,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster", help="Several of each behind nginx, as in production, in var/cluster; without the fleet."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run real servers, the console and twins of the vendors on this machine, until Ctrl-C."""
    from keyturn.cli.sandboxed import run_cluster, run_sandbox

    context.obj = state
    if context.invoked_subcommand is not None:
        return
    if cluster:
        run_cluster(state or _CLUSTER_STATE, as_json=as_json)
    else:
        run_sandbox(state or _STATE, fleet=fleet, as_json=as_json)


@_sandbox.command()
def advance(
    context: typer.Context,
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="How far: 7d, 36h or 90m.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Move time on in a sandbox that runs in another terminal, and have its watch look at once.

    It is the one whose env.sh this shell has sourced, unless `keyturn sandbox --state FOLDER advance` names another.
    """
    from keyturn import settings
    from keyturn.cli.sandboxed import advance_sandbox

    clock = settings.load().sandbox_clock
    advance_sandbox(context.obj or (clock.parent if clock else _STATE), duration, as_json=as_json)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("var/demo"),
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the servers up afterwards, until Ctrl-C.")] = False,
    assisted: Annotated[bool, typer.Option("--assisted", help="Let StackOne offer no write API.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play a whole onboarding against real servers and twins, and write a report."""
    from keyturn.cli.sandboxed import run_demo

    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        code = run_demo(out, keep=keep, assisted=assisted)
    if as_json:
        typer.echo((out / "report.json").read_text(encoding="utf-8"), nl=False)
    raise typer.Exit(code)


def _findings(path: Path, *, online: bool) -> list[Finding]:
    from keyturn.clients.links import answering
    from keyturn.services import manifests

    return manifests.check(manifests.load(path), ask=answering if online else None)


def _as_dict(finding: Finding) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(finding)


def _show(path: str, findings: list[Finding]) -> None:
    """One line a finding, so that editors and grep can use it."""
    from keyturn.cli import showing

    for finding in findings:
        place = f"{path}:{finding.line}" if finding.line else path
        where = f" {finding.where}:" if finding.where else ""
        screen = showing.console()
        said = f"{where} {finding.message}"
        screen.print(f"{showing.plain(place)}: {showing.mark(finding.severity)}:{showing.plain(said)}")
        if finding.remedy:
            screen.print(f"    [dim]→ {showing.plain(finding.remedy)}[/]")
    if not findings:
        typer.echo(f"{path}: fine")
