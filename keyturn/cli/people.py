"""Commands by which people decide and act. A person is who Vault says they are, never an argument."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson, Key, Note
from keyturn.errors import ConfigurationError, GateClosedError

if TYPE_CHECKING:
    from keyturn.domain.credential import Credential
    from keyturn.domain.gate import Gate
    from keyturn.domain.integration import IntegrationKey
    from keyturn.ports import PersonalVault
    from keyturn.services.decide import Decided
    from keyturn.services.intake import Submitted
    from keyturn.wiring import Ports

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
    from keyturn.domain.gate import GateKind
    from keyturn.services import decide

    ports, name = _ports(), _key(key)
    person = _vault(ports).whoami()
    gate = _open_gate(ports, name, GateKind.APPROVE)
    seen = _matching(gate, digest) if digest else _shown_and_confirmed(ports, gate, as_json=as_json)
    _tell(decide.approve(ports.ledger, ports.runs, person, name, seen, note), as_json=as_json)


def reject(
    key: Key,
    *,
    reason: Annotated[str, typer.Option("--reason", prompt=True, help="Why; it is kept.")],
    as_json: AsJson = False,
) -> None:
    """Reject what is being asked about an integration; its attempt ends."""
    from keyturn.services import decide

    ports = _ports()
    _tell(decide.reject(ports.ledger, ports.runs, _vault(ports).whoami(), _key(key), reason), as_json=as_json)


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
    from keyturn.services.intake import Intake, Told

    ports, name = _ports(), _key(key)
    vault = _vault(ports)
    intake = Intake(ports.ledger, vault, ports.gong, ports.runs, ports.clock)
    intake.check_asked(name, vault.whoami())
    told = Told(clicked_at.astimezone() if clicked_at else None, grace_hours)
    if not stdin:
        _show_what_to_click(ports, name)
    submitted = (
        intake.submit_wrapped(name, _wrapping_token(stdin=stdin), told)
        if wrapped
        else intake.submit(name, _credential(stdin=stdin), told)
    )
    _tell_submitted(submitted, as_json=as_json)


def reveal(key: Key, *, as_json: AsJson = False) -> None:
    """Wrap the stored pair in a single-use token, and show how StackOne's form is filled in with it."""
    from keyturn.cli import kit_view, showing
    from keyturn.domain.gate import GateKind
    from keyturn.services.reveal import reveal as wrap

    ports, name = _ports(), _key(key)
    wrapped = wrap(ports.ledger, _vault(ports), name)
    if as_json:
        showing.as_json({"token": wrapped.token, "ttl_s": wrapped.ttl_s})
        return
    sealed = ports.ledger.manifest(_open_gate(ports, name, GateKind.STACKONE_FORM).digest)
    kit_view.show_stackone_form(sealed, str(ports.settings.stackone.dashboard_url))
    typer.echo(wrapped.token)
    typer.echo(
        f"Opens the pair once, within {wrapped.ttl_s} s, by `vault unwrap <token>` (or `bao unwrap`). "
        "If it was opened already, somebody else has read the pair: rotate the secret in Gong.",
        err=True,
    )


def link(key: Key, *, as_json: AsJson = False) -> None:
    """Make a fresh auth link for the person who consents in Gong. It is shown once and kept nowhere."""
    from keyturn.cli import showing
    from keyturn.services.link import Linking

    ports = _ports()
    linking = Linking(ports.ledger, ports.hub, ports.clock)
    person = _vault(ports).whoami()
    made = linking.fresh_link(person, _key(key), ports.settings.stackone.link_expires_s)
    if as_json:
        showing.as_json({"url": made.url, "expires_at": made.expires_at})
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
    from keyturn.cli import showing
    from keyturn.services.start import abandon as end

    ports = _ports()
    attempt = end(ports.ledger, ports.runs, _vault(ports).whoami(), _key(key), reason)
    if as_json:
        showing.as_json({"key": str(attempt.key), "attempt": str(attempt.id), "state": attempt.state.value})
    else:
        typer.echo(f"{attempt.key}: attempt {attempt.id} is abandoned")


def _ports() -> Ports:
    from keyturn import wiring

    return wiring.ports()


def _key(text: str) -> IntegrationKey:
    from keyturn.cli.manifest_of import key_of

    return key_of(_ports().settings, text)


def _vault(ports: Ports) -> PersonalVault:
    from keyturn import wiring

    return wiring.personal_vault(ports.settings, os.environ, Path.home())


def _open_gate(ports: Ports, key: IntegrationKey, kind: object) -> Gate:
    gates = [g for g in ports.ledger.gates(key=key) if g.kind == kind]
    if not gates:
        raise GateClosedError(str(key), "this is not being asked (any more)", "See `keyturn status`.")
    return gates[-1]


def _matching(gate: Gate, given: str) -> str:
    """The gate's digest if the given one begins it; otherwise the given one, which will be refused."""
    if len(given) < _SHORTEST_DIGEST:
        raise ConfigurationError("--digest", f"is shorter than {_SHORTEST_DIGEST} digits", "Copy it from the kit.")
    return gate.digest if gate.digest.startswith(given) else given


def _shown_and_confirmed(ports: Ports, gate: Gate, *, as_json: bool) -> str:
    from keyturn.cli import kit_view

    if as_json or not sys.stdin.isatty():
        raise ConfigurationError("approve", "nobody is there to ask", "Give --digest with the digest you have seen.")
    sealed = ports.ledger.manifest(gate.digest)
    if gate.question.get("second") or gate.question.get("rotation"):
        kit_view.show_rotation(sealed, gate, ports.clock.now())
    else:
        kit_view.show_kit(sealed, str(ports.settings.gong.admin_url))
    typer.confirm(f"Approve digest {gate.digest[:12]}?", abort=True, err=True)
    return gate.digest


def _show_what_to_click(ports: Ports, key: IntegrationKey) -> None:
    """The kit of a rotation, for whoever is about to hand the new secret in."""
    from keyturn.cli import kit_view
    from keyturn.domain.gate import GateKind

    for gate in ports.ledger.gates(key=key):
        if gate.kind is GateKind.GONG_ROTATION:
            kit_view.show_turn(ports.ledger.manifest(gate.digest), gate, str(ports.settings.gong.admin_url))


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

    gate = decided.gate
    if as_json:
        showing.as_json(showing.gate_json(gate) | {"resumed": decided.resumed})
        return
    left = gate.needed - gate.approvals
    more = f", {left} more needed" if gate.state == "open" else ""
    typer.echo(f"{gate.key} {gate.kind}: {gate.state}{more}")
    if gate.state != "open":
        _say_resumed(resumed=decided.resumed)


def _tell_submitted(submitted: Submitted, *, as_json: bool) -> None:
    from keyturn.cli import showing

    key, version, probe = submitted.gate.key, submitted.gate.answer["version"], submitted.probe
    if as_json:
        said = {"probe": probe.outcome.value, "explanation": probe.explanation}
        showing.as_json({"key": str(key), "version": version, **said, "resumed": submitted.resumed})
        return
    typer.echo(f"{key}: taken as version {version}; probe at Gong: {probe.outcome}")
    typer.echo(probe.explanation)
    _say_resumed(resumed=submitted.resumed)


def _say_resumed(*, resumed: bool) -> None:
    typer.echo("The run goes on." if resumed else "Recorded. The run takes notice by itself within a minute or two.")
