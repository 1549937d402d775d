"""Commands by which people decide and act. A person is who Vault says they are, never an argument."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson, Key, Note
from keyturn.errors import ConfigurationError, GateClosedError

if TYPE_CHECKING:
    from keyturn.cli.away import Away
    from keyturn.console.api.desk import Desk
    from keyturn.console.api.shapes.questions import Decided, Gate, Taken
    from keyturn.domain.credential import Credential
    from keyturn.domain.gate import GateKind
    from keyturn.domain.integration import IntegrationKey

_SHORTEST_DIGEST = 8


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (approve, reject, submit, reveal, link, abandon):
        app.command()(command)


def approve(
    key: Key,
    *,
    digest: Annotated[str, typer.Option("--digest", help="The digest you have seen; skips the question.")] = "",
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Approve the kit of an integration, after looking at it."""
    from keyturn.cli import remote
    from keyturn.cli.manifest_of import named
    from keyturn.domain.gate import GateKind

    desk, name = remote.desk(), named(key)
    gate = _open_gate(desk, name, GateKind.APPROVE)
    seen = _matching(gate, digest) if digest else _shown_and_confirmed(gate, as_json=as_json)
    _tell(desk.approve(name, seen, note, gate.id), as_json=as_json)


def reject(
    key: Key,
    *,
    reason: Annotated[str, typer.Option("--reason", prompt=True, help="Why; it is kept.")],
    as_json: AsJson = False,
) -> None:
    """Reject what is being asked about an integration; its attempt ends."""
    from keyturn.cli import remote
    from keyturn.cli.manifest_of import named

    _tell(remote.desk().reject(named(key), reason), as_json=as_json)


def submit(
    key: Key,
    *,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read two lines: client id, client secret.")] = False,
    wrapped: Annotated[
        bool, typer.Option("--wrapped", help="Hand in Vault's wrapping token instead (with --stdin: one line).")
    ] = False,
    clicked_at: Annotated[
        datetime | None,
        typer.Option("--clicked-at", help="Of a rotation: when Rotate was pressed in Gong, local time. Default: now."),
    ] = None,
    grace_hours: Annotated[
        int | None, typer.Option("--grace-hours", help="Of a rotation: the grace chosen in Gong. Default: as asked.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hand in the Client ID and Client Secret from Gong. The secret is never an argument and never shown."""
    from keyturn.cli import remote
    from keyturn.cli.manifest_of import named
    from keyturn.services.intake import Told

    desk, name = remote.desk(), named(key)
    desk.require_asked(name)
    told = Told(_of_this_zone(clicked_at) if clicked_at else None, grace_hours)
    if not stdin:
        _show_what_to_click(desk, name)
    taken = (
        desk.submit_wrapped(name, _wrapping_token(stdin=stdin), told)
        if wrapped
        else desk.submit(name, _credential(stdin=stdin), told)
    )
    _tell_taken(taken, as_json=as_json)


def reveal(key: Key, *, as_json: AsJson = False) -> None:
    """Wrap the stored pair in a single-use token, and show how StackOne's form is filled in with it."""
    from keyturn.cli import kit_view, remote, showing
    from keyturn.cli.manifest_of import named

    wrapped = remote.desk().reveal(named(key))
    if as_json:
        showing.as_json(wrapped.model_dump(exclude={"form"}))
        return
    kit_view.show_steps(wrapped.form, stderr=True)
    typer.echo(wrapped.token)
    typer.echo(
        f"Opens the pair once, within {wrapped.ttl_s} s, by `vault unwrap <token>` (or `bao unwrap`). "
        "If it was opened already, somebody else has read the pair: rotate the secret in Gong.",
        err=True,
    )


def link(key: Key, *, as_json: AsJson = False) -> None:
    """Make a fresh auth link for the person who consents in Gong. It is shown once and kept nowhere."""
    from keyturn.cli import remote, showing
    from keyturn.cli.manifest_of import named

    made = remote.desk().link(named(key))
    if as_json:
        showing.as_json(made.model_dump())
        return
    typer.echo(made.url)
    typer.echo(f"To be opened by an admin of the Gong account until {made.expires_at:%H:%M} UTC.", err=True)


def abandon(
    key: Key,
    *,
    reason: Annotated[str, typer.Option("--reason", prompt=True, help="Why; it is kept.")],
    as_json: AsJson = False,
) -> None:
    """End the active attempt of an integration. What was stored in Vault and StackOne stays as it is."""
    from keyturn.cli import remote, showing
    from keyturn.cli.manifest_of import named

    attempt = remote.desk().abandon(named(key), reason)
    if as_json:
        showing.as_json(attempt.model_dump(include={"key", "attempt", "state"}))
    else:
        typer.echo(f"{attempt.key}: attempt {attempt.attempt} is abandoned")


def _open_gate(desk: Desk | Away, key: IntegrationKey, kind: GateKind) -> Gate:
    gates = [g for g in desk.gates(key) if g.kind == kind]
    if not gates:
        raise GateClosedError(str(key), "this is not being asked (any more)", "See `keyturn status`.")
    return desk.gate(gates[-1].id)


def _matching(gate: Gate, given: str) -> str:
    """The gate's digest if the given one begins it; otherwise the given one, which will be refused."""
    if len(given) < _SHORTEST_DIGEST:
        raise ConfigurationError("--digest", f"is shorter than {_SHORTEST_DIGEST} digits", "Copy it from the kit.")
    return gate.digest if gate.digest.startswith(given) else given


def _shown_and_confirmed(gate: Gate, *, as_json: bool) -> str:
    from keyturn.cli import kit_view

    if as_json or not sys.stdin.isatty():
        raise ConfigurationError("approve", "nobody is there to ask", "Give --digest with the digest you have seen.")
    kit_view.show_asked(gate)
    typer.confirm(f"Approve digest {gate.digest[:12]}?", abort=True, err=True)
    return gate.digest


def _of_this_zone(clicked_at: datetime) -> datetime:
    """A moment as this machine's clock showed it. Of some years no zone is known, or no other zone's year exists."""
    try:
        return clicked_at.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ConfigurationError(
            "--clicked-at", f"cannot have been in the year {clicked_at.year}", "Give it as your own clock showed it."
        ) from None


def _show_what_to_click(desk: Desk | Away, key: IntegrationKey) -> None:
    """The kit of a rotation, for whoever is about to hand the new secret in."""
    from keyturn.cli import kit_view
    from keyturn.domain.gate import GateKind

    for gate in desk.gates(key):
        if gate.kind is GateKind.GONG_ROTATION:
            kit_view.show_turn(desk.gate(gate.id))


def _credential(*, stdin: bool) -> Credential:
    from keyturn.domain.credential import Credential

    if stdin:
        lines = sys.stdin.read().splitlines()
        if len(lines) != 2:  # noqa: PLR2004  id and secret
            raise ConfigurationError("--stdin", f"has {len(lines)} lines", "Give two: the client id, then the secret.")
        return Credential(lines[0], lines[1])
    client_id = typer.prompt("Client ID", err=True)
    return Credential(client_id, typer.prompt("Client Secret (not shown)", hide_input=True, err=True))


def _wrapping_token(*, stdin: bool) -> str:
    text = sys.stdin.readline() if stdin else str(typer.prompt("Wrapping token (not shown)", hide_input=True, err=True))
    return text.strip()


def _tell(decided: Decided, *, as_json: bool) -> None:
    from keyturn.cli import showing

    if as_json:
        showing.as_json(decided.model_dump())
        return
    left = decided.needed - decided.approvals
    more = f", {left} more needed" if decided.state == "open" else ""
    typer.echo(f"{decided.key} {decided.kind}: {decided.state}{more}")
    if decided.state != "open":
        _say_resumed(resumed=decided.resumed)


def _tell_taken(taken: Taken, *, as_json: bool) -> None:
    from keyturn.cli import showing

    if as_json:
        showing.as_json(taken.model_dump())
        return
    typer.echo(f"{taken.key}: taken as version {taken.version}; probe at Gong: {taken.probe}")
    typer.echo(taken.explanation)
    _say_resumed(resumed=taken.resumed)


def _say_resumed(*, resumed: bool) -> None:
    typer.echo("The run goes on." if resumed else "Recorded. The run takes notice by itself within a minute or two.")
