"""`keyturn rotate` for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import typer

from keyturn import wiring
from keyturn.cli import showing
from keyturn.cli.fleet import summary
from keyturn.cli.fleet.round import Account, Outcome, Round, What
from keyturn.domain.attempt import AttemptKind, AttemptState, Halt, Terms
from keyturn.errors import RefusedError
from keyturn.services.fleet_files import Meant

if TYPE_CHECKING:
    from keyturn.cli.away import Away
    from keyturn.console.api.desk import Desk
    from keyturn.console.api.shapes.fleet import Line

_LISTED = 20
_STOPS = "it would stop here: "


def rotate(
    desk: Desk | Away, meant: Sequence[Meant], terms: Terms, newer_than: timedelta, at_once: int, *, as_json: bool
) -> NoReturn:
    """Begin a rotation of each, by the same rules as for one: its window, what is under way, who may."""
    lines = _lines(desk, meant)

    def act(one: Meant) -> Outcome:
        key = one.key
        if key is None or (left := _left_alone(lines.get(str(key)), newer_than)) is None:
            return _begun(desk, one, terms)
        return left

    account = Round("rotate", at_once, quiet=as_json).go(meant, act)
    if terms.compromised:
        _say_left_alone(account)
    summary.tell(account, as_json=as_json)


def dry_run(
    desk: Desk | Away, meant: Sequence[Meant], terms: Terms, newer_than: timedelta, at_once: int, *, as_json: bool
) -> NoReturn:
    """Only say what would be done."""
    lines = _lines(desk, meant)

    def act(one: Meant) -> Outcome:
        line = lines.get(one.name)
        return _active(line, terms) or _left_alone(line, newer_than) or _planned(desk, one, terms)

    account = Round("rotate --dry-run", at_once, quiet=as_json).go(meant, act)
    if not as_json:
        rows = [(showing.plain(one.name), o.what.value, showing.plain(o.says)) for one, o in account.of]
        showing.table(("integration", "would be", "why"), rows)
    summary.tell(account, as_json=as_json)


def confirm(meant: Sequence[Meant], *, compromised: bool) -> None:
    """Show how many and which, and ask. A no ends the command, and so does nobody to ask."""
    names = [one.name for one in meant]
    more = f"\n  and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    typer.echo(
        "\n  ".join([f"Secrets of {len(names)} integrations are to be turned:", *names[:_LISTED]]) + more, err=True
    )
    if compromised:
        warning = "EACH OF THEM WILL BREAK until its new secret is applied, and there is no way back."
        typer.secho(warning, fg=typer.colors.RED, err=True)
    typer.confirm("Go on?", abort=True, err=True)


def _begun(desk: Desk | Away, one: Meant, terms: Terms) -> Outcome:
    if one.key is None:
        raise RefusedError(one.word, "names no integration", "Run `keyturn lint` for its faults.")
    rotation = desk.rotate(one.key, terms)
    body = {"attempt": str(rotation.attempt), "flow_run": rotation.flow_run and str(rotation.flow_run)}
    if rotation.halt is not Halt.NONE:
        return _halted(str(one.key), rotation.halt, rotation.reason, body)
    if rotation.created:
        return Outcome(What.STARTED, body=body)
    return Outcome(What.UNDER_WAY, "its last run was over; a new one goes on" * rotation.run_started, body=body)


def _planned(desk: Desk | Away, one: Meant, terms: Terms) -> Outcome:
    if one.key is None:
        raise RefusedError(one.word, "names no integration", "Run `keyturn lint` for its faults.")
    made = desk.rotation_plan(one.key, terms)
    stopped = made.steps[0].partition(_STOPS)[2]
    if stopped:
        return Outcome(What.REFUSED, stopped, "Wait for it, or use --ignore-window.", 1)
    return Outcome(What.PLANNED, body={"digest": made.digest})


def _left_alone(line: Line | None, newer_than: timedelta) -> Outcome | None:
    """One whose secret has been turned so lately that the same command did it before; `None` for any other."""
    if line is None or line.turned_at is None or not newer_than:
        return None
    rotated = line.kind is AttemptKind.ROTATION and line.state is AttemptState.COMPLETED
    if not rotated or wiring.ports().clock.now() - line.turned_at >= newer_than:
        return None
    when = f"{line.turned_at:%Y-%m-%d %H:%M} UTC"
    return Outcome(What.DONE, f"its secret was turned at {when}; `--newer-than 0` turns it again")


def _active(line: Line | None, terms: Terms) -> Outcome | None:
    """What a rotation that is under way would come to; the words are those of the refusals."""
    if line is None or line.state is not AttemptState.ACTIVE or line.kind is not AttemptKind.ROTATION:
        return None
    if terms.names and line.terms != terms.names:
        says = "a rotation on other terms is under way"
        return Outcome(What.REFUSED, says, "See `keyturn status`; abandon it to begin anew.", 1)
    if line.halt is not Halt.NONE:
        return _halted(line.key, line.halt, line.reason)
    return Outcome(What.UNDER_WAY, line.says)


def _halted(key: str, halt: Halt, reason: str, body: Mapping[str, object] | None = None) -> Outcome:
    remedy = f"`keyturn rotate resume {key}` or `keyturn rotate abandon {key}`."
    return Outcome(What.REFUSED, f"is halted ({halt}): {reason}", remedy, 1, body=body or {})


def _say_left_alone(account: Account) -> None:
    """Somebody knows these secrets: whoever asked for some to be left alone reads which those were."""
    for one, outcome in account.of:
        if outcome.what is What.DONE:
            typer.echo(f"{one.name} was left alone: {outcome.says}", err=True)


def _lines(desk: Desk | Away, meant: Sequence[Meant]) -> Mapping[str, Line]:
    wanted = {one.name for one in meant}
    return {line.key: line for line in desk.lines() if line.key in wanted}
