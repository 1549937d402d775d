"""`keyturn rotate`: turn a secret, and what people say while it turns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson, Key, KeyOrCommand

if TYPE_CHECKING:
    from keyturn.domain.attempt import Attempt, Terms
    from keyturn.domain.gate import Person
    from keyturn.domain.integration import IntegrationKey
    from keyturn.domain.sweep import Entry
    from keyturn.services.rotation.asking import Rotating
    from keyturn.services.start import Started
    from keyturn.wiring import Ports

Reason = Annotated[str, typer.Option("--reason", prompt=True, help="Why; it is kept.")]

app = typer.Typer(
    cls=KeyOrCommand,
    help="Turn the client secret of an integration: `keyturn rotate KEY`, or say what a rotation is to do.",
    no_args_is_help=True,
)


@app.command()
def start(
    key: Key,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Somebody knows the secret: shortest path, no way back.")
    ] = False,
    ignore_window: Annotated[
        bool, typer.Option("--ignore-window", help="Begin although the manifest's window is closed; it is audited.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether a compromised secret may break now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Begin a rotation, or go on with the one under way."""
    from keyturn.domain.attempt import Terms

    ports, name = _ports(), _key(key)
    terms = Terms(compromised=compromised, ignore_window=ignore_window)
    if dry_run:
        _show_steps(ports, name, terms, as_json=as_json)
        return
    if compromised and not yes:
        _confirm_breaking(name)
    _say_started(ports, _rotating(ports).start(name, _person(ports), terms), as_json=as_json)


@app.command()
def due(*, as_json: AsJson = False) -> None:
    """Show the plan of a sweep: which secrets are due, and why the others are not turned now."""
    from keyturn.cli import showing
    from keyturn.services.sweep import Sweep

    ports = _ports()
    planned = Sweep(ports.ledger, ports.runs, ports.outbox, ports.clock).plan(ports.settings.rotation.at_once)
    if as_json:
        showing.as_json([_entry_json(e) for e in planned])
        return
    rows = [(showing.plain(e.key), showing.when(e.due_at), e.what.value, showing.plain(e.why)) for e in planned]
    showing.table(("integration", "due", "the sweep", "why"), rows)


@app.command()
def rollback(key: Key, *, reason: Reason, as_json: AsJson = False) -> None:
    """Have the older secret put back into the profile, while it works. The new one is kept."""
    ports = _ports()
    attempt = _rotating(ports).roll_back(_key(key), _person(ports), reason)
    _say(attempt, "the older secret will be put back; see `keyturn status`", as_json=as_json)


@app.command()
def resume(key: Key, *, reason: Reason, as_json: AsJson = False) -> None:
    """Let a rotation go on that was rolled back or orphaned."""
    ports = _ports()
    attempt = _rotating(ports).resume(_key(key), _person(ports), reason)
    _say(attempt, "goes on from its receipts", as_json=as_json)


@app.command()
def abandon(key: Key, *, reason: Reason, as_json: AsJson = False) -> None:
    """End a rotation. Vault and StackOne stay as they are; the next rotation takes a pending secret up."""
    ports = _ports()
    attempt = _rotating(ports).abandon(_key(key), _person(ports), reason)
    _say(attempt, "is abandoned", as_json=as_json)


@app.command()
def lost(key: Key, *, reason: Reason, as_json: AsJson = False) -> None:
    """Say that the new secret was lost before it was handed in. A second click in Gong has to be approved then."""
    ports = _ports()
    attempt = _rotating(ports).lost(_key(key), _person(ports), reason)
    _say(attempt, "asks for approval of a second rotation, which kills the secret in use at once", as_json=as_json)


def _ports() -> Ports:
    from keyturn import wiring

    return wiring.ports()


def _key(text: str) -> IntegrationKey:
    from keyturn.cli.manifest_of import key_of

    return key_of(_ports().settings, text)


def _person(ports: Ports) -> Person:
    from keyturn import wiring

    return wiring.personal_vault(ports.settings, os.environ, Path.home()).whoami()


def _rotating(ports: Ports) -> Rotating:
    from keyturn.services.rotation.asking import Rotating

    return Rotating(ports.ledger, ports.runs, ports.clock)


def _confirm_breaking(key: IntegrationKey) -> None:
    typer.secho(
        f"{key}: the secret in use will stop working at the click in Gong, or an hour later. THIS WILL BREAK until the "
        "new one is applied, and there is no way back.",
        fg=typer.colors.RED,
        err=True,
    )
    typer.confirm("Go on?", abort=True, err=True)


def _show_steps(ports: Ports, key: IntegrationKey, terms: Terms, *, as_json: bool) -> None:
    from keyturn.cli import showing
    from keyturn.services.rotation.asking import applied_manifest, what_would_happen

    sealed = applied_manifest(ports.ledger, key)
    steps = what_would_happen(sealed, terms, ports.clock.now())
    if as_json:
        showing.as_json({"key": str(key), "digest": sealed.digest, "steps": steps})
        return
    showing.table(("a rotation would",), [(f"{n}. {showing.plain(s)}",) for n, s in enumerate(steps, 1)])


def _say_started(ports: Ports, started: Started, *, as_json: bool) -> None:
    from keyturn.cli import showing

    attempt = started.attempt
    if as_json:
        showing.as_json(_attempt_json(attempt) | {"created": started.opened.created})
        return
    if attempt.halt:
        what = f"is halted ({attempt.halt}): {attempt.reason}; `keyturn rotate resume` or `abandon`"
    elif started.opened.created:
        what = "started"
    else:
        what = "is under way already" + (
            "; its last run was over, and a new one goes on" if started.run_started else ""
        )
    typer.echo(f"{attempt.key}: rotation {attempt.id} {what}")
    if attempt.flow_run_id and (url := ports.runs.url(attempt.flow_run_id)):
        typer.echo(url)


def _say(attempt: Attempt, what: str, *, as_json: bool) -> None:
    from keyturn.cli import showing

    if as_json:
        showing.as_json(_attempt_json(attempt))
    else:
        typer.echo(f"{attempt.key}: rotation {attempt.id} {what}")


def _attempt_json(attempt: Attempt) -> dict[str, object]:
    return {
        "key": str(attempt.key),
        "attempt": str(attempt.id),
        "state": attempt.state.value,
        "halt": attempt.halt.value,
        "wish": attempt.wish.value,
        "reason": attempt.reason,
        "flow_run": str(attempt.flow_run_id) if attempt.flow_run_id else None,
    }


def _entry_json(entry: Entry) -> dict[str, object]:
    return {"key": str(entry.key), "due_at": entry.due_at, "what": entry.what.value, "why": entry.why}
