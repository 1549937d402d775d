"""Commands that only look: `plan`, `status`, `gates`, `verify`, `doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from keyturn.cli.options import AT_ONCE, AsJson, AtOnce, Key, Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn.console.api.shapes.kits import KitFiles, Plan
    from keyturn.domain.checkup import Check


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (plan, status, gates, verify, doctor):
        app.command()(command)


def plan(
    keys: Keys = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every manifest of the manifests' folder.")] = False,
    at_once: AtOnce = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the kit and both logos to this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the kit for Gong's form, what exists already, and what a run would do. Changes nothing."""
    from keyturn.cli import kit_view, remote, showing
    from keyturn.cli.fleet import choosing

    if not choosing.is_one(keys, everything=everything):
        _plan_many(keys, out, at_once or AT_ONCE, everything=everything, as_json=as_json)
    made = remote.desk().plan(str(*keys or ()), files=out is not None)
    if out is not None and made.files is not None:
        kit_view.write_kit(made.files, out)
    if as_json:
        showing.as_json(made.model_dump(exclude={"files"}))
        return
    kit_view.show_kit(made.key, made.kit)
    _show_plan(made)


def _plan_many(
    words: Sequence[str] | None, out: Path | None, at_once: int, *, everything: bool, as_json: bool
) -> NoReturn:
    from keyturn.cli import kit_view, remote
    from keyturn.cli.fleet import onboarding

    def write(name: str, files: KitFiles) -> None:
        kit_view.write_kit(files, (out or Path()) / name)

    keep = write if out is not None else None
    onboarding.plan(remote.desk_for_many(), words, at_once, keep, everything=everything, as_json=as_json)


def status(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="One integration; none: all of them.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All integrations, the same as no KEY.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say where integrations stand: every stage of one, or of all a line each, with health and next rotation."""
    from keyturn.cli import fleet_view, remote, showing
    from keyturn.cli.manifest_of import named

    if key is None or everything:
        fleet = remote.desk().lines()
        if as_json:
            showing.as_json([line.model_dump() for line in fleet])
        else:
            fleet_view.show(fleet)
        return
    one = remote.desk().progress(named(key))
    if as_json:
        showing.as_json(one.model_dump(exclude={"run"}))
    else:
        showing.console().print(showing.journey_tree(one))


def gates(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="One integration; none: all.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the open gates: who is asked for what, and since when."""
    from keyturn.cli import remote, showing
    from keyturn.cli.manifest_of import named

    found = remote.desk().gates(named(key) if key else None)
    if as_json:
        showing.as_json([g.model_dump(exclude={"waits_for"}) for g in found])
        return
    rows = [
        (
            showing.plain(g.key),
            g.kind.value,
            showing.when(g.opened_at),
            g.digest[:12],
            showing.plain(g.waits_for),
        )
        for g in found
    ]
    showing.table(("integration", "gate", "since", "digest", "waits for"), rows)


def verify(key: Key, *, as_json: AsJson = False) -> None:
    """Test a connection now, layer by layer. Read-only. Exit 1 if a layer fails or is not proven."""
    from keyturn.cli import remote, showing
    from keyturn.cli.manifest_of import named

    verdict = remote.desk().verify(named(key))
    if as_json:
        showing.as_json(verdict.model_dump())
    else:
        showing.show_verdict(verdict)
    raise typer.Exit(0 if verdict.proven else 1)


def doctor(
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also try, read-only, what is not known of the vendors.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compare all stores with each other, as after a restore. Read-only.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every dependency, permission and version, and say what to do about each fault."""
    from keyturn import wiring
    from keyturn.cli import deep as depths
    from keyturn.cli import showing
    from keyturn.cli.checkup import TO_TRY_BY_HAND, checks

    results, by_hand = checks(wiring.ports_to_look_with(), live=live), list(TO_TRY_BY_HAND) if live else []
    seen = depths.compared(wiring.ports()) if deep else None
    results += depths.checks(seen) if seen else []
    if as_json:
        stores = {"stores": depths.as_plain(seen)} if seen else {}
        showing.as_json({"checks": [asdict(c) for c in results], "by_hand": by_hand} | stores)
    else:
        _show_checks(results)
        for line in by_hand:
            typer.echo(f"to try by hand: {line}")
    raise typer.Exit(_exit_code([c.ok for c in results]))


def _exit_code(answers: list[bool | None]) -> int:
    """1 when something is wrong, 3 when something could not be asked, 0 otherwise."""
    if False in answers:
        return 1
    return 3 if None in answers else 0


def _show_checks(results: list[Check]) -> None:
    """A line a check, never broken or cut, so that names and commands can be copied."""
    from keyturn.cli import showing

    screen = showing.console()
    for check in results:
        screen.print(f"{_tick(ok=check.ok)} [bold]{showing.plain(check.name)}[/]  {showing.plain(check.found)}")
        if check.remedy:
            screen.print(f"    [dim]→ {showing.plain(check.remedy)}[/]")


def _tick(*, ok: bool | None) -> str:
    return {True: "[green]✔[/]", False: "[red]✘[/]", None: "[yellow]?[/]"}[ok]


def _show_plan(made: Plan) -> None:
    from keyturn.cli import showing

    rows = [
        (showing.plain(f.about), showing.plain(f.says) if f.known else f"[yellow]unknown[/] {showing.plain(f.says)}")
        for f in made.found
    ]
    showing.table(("where", "what is there"), rows, title="Found")
    showing.table(("difference to the registered manifest",), [(showing.plain(d),) for d in made.differences])
    showing.table(("a run would",), [(f"{n}. {showing.plain(s)}",) for n, s in enumerate(made.steps, 1)])
