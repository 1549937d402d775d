"""`keyturn rotate`: turn a secret, and what people say while it turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from keyturn.cli.options import AT_ONCE, AsJson, AtOnce, Key, KeyOrCommand, Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn.console.api.shapes.attempts import Attempt, Rotation
    from keyturn.console.api.shapes.kits import RotationPlan
    from keyturn.domain.attempt import Terms
    from keyturn.domain.integration import IntegrationKey

Reason = Annotated[str, typer.Option("--reason", prompt=True, help="Why; it is kept.")]
_A_DAY, _NONE = "1d", "0"  # a secret that somebody knows may have become known since it was turned

app = typer.Typer(
    cls=KeyOrCommand,
    help="Turn the client secret of an integration: `keyturn rotate KEY`, or say what a rotation is to do.",
    no_args_is_help=True,
)


@app.command()
def start(  # noqa: PLR0913  a command has as many options as it has
    keys: Keys = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every registered integration.")] = False,
    at_once: AtOnce = None,
    newer_than: Annotated[
        str | None,
        typer.Option(
            "--newer-than",
            metavar="DURATION",
            help="Of several, leave alone what was turned within so long: 36h, 7d. Without it a day; and none of those "
            "that are compromised.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Somebody knows the secret: shortest path, no way back.")
    ] = False,
    ignore_window: Annotated[
        bool, typer.Option("--ignore-window", help="Begin although the manifest's window is closed; it is audited.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: of several, whether to begin; or whether a secret may break.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Begin a rotation, or go on with the one under way."""
    from keyturn.cli import remote
    from keyturn.cli.fleet import choosing
    from keyturn.cli.manifest_of import named
    from keyturn.domain.attempt import Terms

    terms = Terms(compromised=compromised, ignore_window=ignore_window)
    if not choosing.is_one(keys, everything=everything):
        within = newer_than or (_NONE if compromised else _A_DAY)
        chosen = _Chosen(keys, within, at_once or AT_ONCE, everything=everything, as_json=as_json)
        _many(chosen, terms, dry_run=dry_run, yes=yes)
    desk, name = remote.desk(), named(str(*keys or ()))
    if dry_run:
        _show_steps(desk.rotation_plan(name, terms), as_json=as_json)
        return
    if compromised and not yes:
        _confirm_breaking(name)
    _say_started(desk.rotate(name, terms), as_json=as_json)


@app.command()
def due(*, as_json: AsJson = False) -> None:
    """Show the plan of a sweep: which secrets are due, and why the others are not turned now."""
    from keyturn.cli import remote, showing

    planned = remote.desk().due()
    if as_json:
        showing.as_json([e.model_dump() for e in planned])
        return
    rows = [(showing.plain(e.key), showing.when(e.due_at), e.what.value, showing.plain(e.why)) for e in planned]
    showing.table(("integration", "due", "the sweep", "why"), rows)


@app.command()
def rollback(key: Key, *, reason: Reason, as_json: AsJson = False) -> None:
    """Have the older secret put back into the profile, while it works. The new one is kept."""
    from keyturn.cli import remote
    from keyturn.cli.manifest_of import named

    attempt = remote.desk().roll_back(named(key), reason)
    _say(attempt, "the older secret will be put back; see `keyturn status`", as_json=as_json)


@app.command()
def resume(key: Key, *, reason: Reason, as_json: AsJson = False) -> None:
    """Let a rotation go on that was rolled back or orphaned."""
    from keyturn.cli import remote
    from keyturn.cli.manifest_of import named

    attempt = remote.desk().resume(named(key), reason)
    _say(attempt, "goes on from its receipts", as_json=as_json)


@app.command()
def abandon(key: Key, *, reason: Reason, as_json: AsJson = False) -> None:
    """End a rotation. Vault and StackOne stay as they are; the next rotation takes a pending secret up."""
    from keyturn.cli import remote
    from keyturn.cli.manifest_of import named

    attempt = remote.desk().abandon(named(key), reason, only_rotation=True)
    _say(attempt, "is abandoned", as_json=as_json)


@app.command()
def lost(key: Key, *, reason: Reason, as_json: AsJson = False) -> None:
    """Say that the new secret was lost before it was handed in. A second click in Gong has to be approved then."""
    from keyturn.cli import remote
    from keyturn.cli.manifest_of import named

    attempt = remote.desk().lost(named(key), reason)
    _say(attempt, "asks for approval of a second rotation, which kills the secret in use at once", as_json=as_json)


@dataclass(frozen=True)
class _Chosen:
    """Which of several, and how."""

    words: Sequence[str] | None
    newer_than: str
    at_once: int
    everything: bool
    as_json: bool


def _many(chosen: _Chosen, terms: Terms, *, dry_run: bool, yes: bool) -> NoReturn:
    from keyturn.cli import remote
    from keyturn.cli.fleet import choosing
    from keyturn.cli.fleet import rotating as of_several

    desk, within = remote.desk_for_many(), choosing.duration(chosen.newer_than)
    meant = choosing.by_key(desk, chosen.words, "rotate", everything=chosen.everything)
    if dry_run:
        of_several.dry_run(desk, meant, terms, within, chosen.at_once, as_json=chosen.as_json)
    if not yes:
        of_several.confirm(meant, compromised=terms.compromised)
    of_several.rotate(desk, meant, terms, within, chosen.at_once, as_json=chosen.as_json)


def _confirm_breaking(key: IntegrationKey) -> None:
    typer.secho(
        f"{key}: the secret in use will stop working at the click in Gong, or an hour later. THIS WILL BREAK until the "
        "new one is applied, and there is no way back.",
        fg=typer.colors.RED,
        err=True,
    )
    typer.confirm("Go on?", abort=True, err=True)


def _show_steps(plan: RotationPlan, *, as_json: bool) -> None:
    from keyturn.cli import showing

    if as_json:
        showing.as_json(plan.model_dump())
        return
    showing.table(("a rotation would",), [(f"{n}. {showing.plain(s)}",) for n, s in enumerate(plan.steps, 1)])


def _say_started(rotation: Rotation, *, as_json: bool) -> None:
    from keyturn.cli import showing

    if as_json:
        showing.as_json(rotation.model_dump(exclude={"run_started", "run_url"}))
        return
    if rotation.halt:
        what = f"is halted ({rotation.halt}): {rotation.reason}; `keyturn rotate resume` or `abandon`"
    elif rotation.created:
        what = "started"
    else:
        what = "is under way already" + ("; its last run was over, and a new one goes on" * rotation.run_started)
    typer.echo(f"{rotation.key}: rotation {rotation.attempt} {what}")
    if rotation.run_url:
        typer.echo(rotation.run_url)


def _say(attempt: Attempt, what: str, *, as_json: bool) -> None:
    from keyturn.cli import showing

    if as_json:
        showing.as_json(attempt.model_dump())
    else:
        typer.echo(f"{attempt.key}: rotation {attempt.attempt} {what}")
