"""Commands that only look: `plan`, `status`, `gates`, `verify`, `doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from keyturn.cli.options import AsJson, Key
from keyturn.errors import KeyturnError

if TYPE_CHECKING:
    from keyturn.domain.checkup import Check
    from keyturn.services.plan import Plan
    from keyturn.wiring import Ports


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (plan, status, gates, verify, doctor):
        app.command()(command)


def plan(
    key: Key,
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the kit and both logos to this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the kit for Gong's form, what exists already, and what a run would do. Changes nothing."""
    from keyturn import wiring
    from keyturn.cli import kit_view, showing
    from keyturn.cli.manifest_of import sealed_of
    from keyturn.services.plan import Planning

    ports = wiring.ports()
    sealed = sealed_of(ports, key)
    made = Planning(*(_within_reach(ports, name) for name in ("ledger", "secrets", "hub", "writers"))).plan(sealed)
    admin_url = str(ports.settings.gong.admin_url)
    if out is not None:
        kit_view.write_kit(sealed, admin_url, out)
    if as_json:
        showing.as_json(_plan_json(made) | {"kit": kit_view.kit_json(sealed, admin_url)})
        return
    kit_view.show_kit(sealed, admin_url)
    _show_plan(made)


def status(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="One integration; none: all of them.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All integrations, the same as no KEY.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say where integrations stand: every stage of one, or of all a line each, with health and next rotation."""
    from keyturn import wiring
    from keyturn.cli import fleet_view, showing
    from keyturn.cli.manifest_of import key_of
    from keyturn.services.journey import journey

    ports = wiring.ports()
    if key is None or everything:
        fleet = fleet_view.lines(ports)
        if as_json:
            showing.as_json(fleet_view.as_json(fleet))
        else:
            fleet_view.show(fleet)
        return
    one = journey(ports.ledger, key_of(ports.settings, key))
    if as_json:
        showing.as_json(showing.journey_json(one))
    else:
        showing.console().print(showing.journey_tree(one))


def gates(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="One integration; none: all.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the open gates: who is asked for what, and since when."""
    from keyturn import wiring
    from keyturn.cli import showing
    from keyturn.cli.manifest_of import key_of
    from keyturn.services.journey import waits_for

    ports = wiring.ports()
    found = ports.ledger.gates(key=key_of(ports.settings, key) if key else None)
    if as_json:
        showing.as_json([showing.gate_json(g) for g in found])
        return
    rows = [
        (
            showing.plain(g.key),
            g.kind.value,
            showing.when(g.opened_at),
            g.digest[:12],
            showing.plain(waits_for(g, g.key)),
        )
        for g in found
    ]
    showing.table(("integration", "gate", "since", "digest", "waits for"), rows)


def verify(key: Key, *, as_json: AsJson = False) -> None:
    """Test a connection now, layer by layer. Read-only. Exit 1 if a layer fails or is not proven."""
    from keyturn import wiring
    from keyturn.cli import showing
    from keyturn.cli.manifest_of import key_of
    from keyturn.services.verify import Examination, as_body

    ports = wiring.ports()
    examination = Examination(ports.ledger, ports.secrets, ports.gong, ports.hub)
    verdict = examination.examine_latest(key_of(ports.settings, key))
    if as_json:
        showing.as_json(as_body(verdict) | {"proven": verdict.proven})
    else:
        showing.show_verdict(verdict)
    raise typer.Exit(0 if verdict.proven else 1)


def doctor(
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also try, read-only, what is not known of the vendors.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every dependency, permission and version, and say what to do about each fault."""
    from keyturn import wiring
    from keyturn.cli import showing
    from keyturn.cli.checkup import TO_TRY_BY_HAND, checks

    results = checks(wiring.ports(), live=live)
    if as_json:
        showing.as_json({"checks": [asdict(c) for c in results], "by_hand": list(TO_TRY_BY_HAND) if live else []})
    else:
        _show_checks(results)
        for line in TO_TRY_BY_HAND if live else ():
            typer.echo(f"to try by hand: {line}")
    raise typer.Exit(_exit_code([c.ok for c in results]))


def _within_reach(ports: Ports, name: str) -> Any:  # noqa: ANN401  a port of some kind, or what stands for it
    """A port, or something that fails with the reason whenever it is asked: a person has not the worker's sign-in."""
    try:
        return getattr(ports, name)
    except KeyturnError as error:
        return _OutOfReach(error)


class _OutOfReach:
    def __init__(self, reason: KeyturnError) -> None:
        self._reason = reason

    def __getattr__(self, name: str) -> NoReturn:
        raise self._reason


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
        for f in made.facts
    ]
    showing.table(("where", "what is there"), rows, title="Found")
    showing.table(("difference to the registered manifest",), [(showing.plain(d),) for d in made.differences])
    showing.table(("a run would",), [(f"{n}. {showing.plain(s)}",) for n, s in enumerate(made.steps, 1)])


def _plan_json(made: Plan) -> dict[str, object]:
    return {
        "key": str(made.sealed.key),
        "digest": made.sealed.digest,
        "scopes": list(made.sealed.scopes),
        "found": [{"about": f.about, "known": f.known, "says": f.says} for f in made.facts],
        "differences": list(made.differences),
        "steps": list(made.steps),
    }
