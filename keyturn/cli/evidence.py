"""`keyturn audit` and `keyturn evidence`: who did what, whether that is still as it was written, and a file of it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyturn.cli.options import AsJson, Key, KeyOrCommand
from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from uuid import UUID

    from keyturn.domain.integration import IntegrationKey
    from keyturn.domain.trail import Chained
    from keyturn.ports import Signer
    from keyturn.services.evidence import Evidence
    from keyturn.services.trail import Verified
    from keyturn.wiring import Ports

audit = typer.Typer(
    cls=KeyOrCommand,
    help="The audit trail: `keyturn audit [KEY]` shows who did what and when, `keyturn audit verify` checks it.",
)
app = typer.Typer(
    cls=KeyOrCommand,
    help="One attempt as a signed file: `keyturn evidence KEY`, and checking such a file without any server.",
    no_args_is_help=True,
)


@audit.command("show")
def show(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="One integration; none: all.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the audit trail, oldest first: who did what, when, signed in how, about which digest."""
    from keyturn.cli import showing
    from keyturn.cli.manifest_of import key_of

    ports = _ports()
    rows = ports.trail.entries(key_of(ports.settings, key) if key else None)
    if as_json:
        showing.as_json([_row_json(row) for row in rows])
        return
    screen = showing.console()
    for row in rows:  # a line each, as they are read: the trail may be long
        screen.print(_row_line(row))


@audit.command("verify")
def verify_trail(
    *,
    anchor: Annotated[
        bool,
        typer.Option(
            "--anchor",
            help="If nothing is wrong, keep the trail's head in Vault, where none is: for an operator who has found "
            "out why the one kept before is gone.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that no row was changed, taken out or put in; exit 1 if one was, 3 if its end cannot be vouched for."""
    from keyturn.cli import showing

    verified = _anchored(_ports()) if anchor else _verified(_ports())
    if as_json:
        showing.as_json(asdict(verified) | {"sound": verified.sound})
    else:
        _tell(verified)
    raise typer.Exit({True: 0, False: 1, None: 3}[verified.sound])


@app.command("export")
def export(
    key: Key,
    *,
    attempt: Annotated[
        str, typer.Option("--attempt", metavar="ID", help="The attempt; without it the newest that has ended.")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", help="Write the file here instead of standard output.")] = None,
    as_json: AsJson = False,
) -> None:
    """Export one attempt as a signed file: decisions, receipts, verdict, and its rows of the audit trail."""
    from keyturn.cli import remote, showing
    from keyturn.cli.manifest_of import named

    name, wanted, console = named(key), _attempt_id(attempt), remote.away()
    file = console.evidence(name, wanted) if console else _signed(name, wanted)
    if out is not None:
        out.write_text(file + "\n", encoding="ascii", newline="\n")
    if as_json:
        showing.as_json({"attempt": _payload(file)["attempt"], "file": str(out) if out else None, "evidence": file})
    else:
        typer.echo(f"written to {out}" if out else file)


@app.command("verify")
def verify_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The evidence file.")],
    *,
    key: Annotated[Path, typer.Option("--key", help="The public key, as `keyturn evidence public-key` prints it.")],
    as_json: AsJson = False,
) -> None:
    """Check an evidence file with the public key alone: no server, no settings. Exit 1 if it is not what was signed."""
    from keyturn.cli import showing
    from keyturn.services import evidence

    found = evidence.check(_read(file), _read(key).decode(errors="replace"))
    if as_json:
        showing.as_json(asdict(found))
    else:
        _show_evidence(found)


@app.command("public-key")
def public_key(*, as_json: AsJson = False) -> None:
    """Print the public key that checks evidence: PEM, or with several versions (and with --json) a JWKS."""
    from keyturn.services import evidence

    keys = _signer(_ports()).public_keys()
    typer.echo(evidence.jwks(keys) if as_json else evidence.published(keys), nl=False)


def _signed(key: IntegrationKey, attempt_id: UUID | None) -> str:
    """The file, made and signed here."""
    from keyturn.services import evidence

    ports = _ports()
    payload = evidence.collect(ports.ledger, ports.trail, ports.clock, _verified(ports), key, attempt_id)
    return evidence.sign(_signer(ports), payload)


def _payload(file: str) -> Mapping[str, Any]:
    """What a file says. Whether it is as it was signed, `keyturn evidence verify` tells."""
    body = file.split(".")[1]
    said: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return said


def _ports() -> Ports:
    from keyturn import wiring

    return wiring.ports()


def _signer(ports: Ports) -> Signer:
    from keyturn import wiring

    return wiring.signer_at_hand(ports.settings, os.environ, Path.home())


def _verified(ports: Ports) -> Verified:
    from keyturn import wiring
    from keyturn.services.trail import verify

    return verify(ports.trail, lambda: wiring.anchor_at_hand(ports.settings, os.environ, Path.home()))


def _anchored(ports: Ports) -> Verified:
    """A person answers for it, and keyturn's own sign-in writes to Vault: people's tokens cannot."""
    from keyturn import wiring
    from keyturn.services.trail import anchor_anew

    at_hand = (ports.settings, os.environ, Path.home())
    person = wiring.personal_vault(*at_hand).whoami()
    return anchor_anew(ports.trail, wiring.anchor_at_hand(*at_hand), ports.clock, person)


def _attempt_id(text: str) -> UUID | None:
    from uuid import UUID

    try:
        return UUID(text) if text else None
    except ValueError:
        raise ConfigurationError("--attempt", f"{text!r} is no id", "Copy it from `keyturn status --json`.") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read: {error.strerror}", "Give another file.") from None


def _tell(verified: Verified) -> None:
    from keyturn.cli import showing

    found, screen = verified.inspection, showing.console()
    if found.fault:
        screen.print(f"[red]✘ {found.fault.kind}[/]  {found.fault.says}")
        screen.print(f"everything before fits, up to row {found.head.seq}")
        screen.print("→ Somebody who can write to the database did that. Compare with its backups, and with evidence.")
        return
    screen.print(f"[green]✔[/] {found.rows} rows, each as it was written after the one before")
    if verified.anchored:
        screen.print(f"[green]✔[/] row {verified.anchored.seq} is the head that Vault keeps")
    else:
        screen.print(f"[yellow]?[/] {showing.plain(verified.unknown)}")


def _row_json(row: Chained) -> dict[str, Any]:
    return {"seq": row.seq, **asdict(row.entry), "prev": row.prev, "hash": row.hash}


def _row_line(row: Chained) -> str:
    from keyturn.cli.showing import plain, when

    entry = row.entry
    who = plain(entry.detail.get("name", entry.actor)) + (f", {plain(entry.signed_in)}" if entry.signed_in else "")
    what = f"{plain(entry.key)}  [bold]{plain(entry.event)}[/]  {who}"
    return f"{row.seq:>6}  {when(entry.at)}  {what}  [dim]{plain(entry.digest[:12])}[/]"


def _show_evidence(found: Evidence) -> None:
    from keyturn.cli import showing

    said = found.payload
    attempt, screen = said["attempt"], showing.console()
    screen.print(f"[green]✔[/] as it was signed by {showing.plain(found.kid)} on {showing.plain(said['exported_at'])}")
    line = f"{said['key']}  {attempt['kind']} {attempt['id']}  {attempt['state']}  digest {said['manifest']['digest']}"
    screen.print(showing.plain(line))
    for problem in _unproven(said):
        screen.print(f"[yellow]?[/] {showing.plain(problem)}")
    decisions = [(gate, decision) for gate in said["gates"] for decision in gate["decisions"]]
    rows = (
        (gate["kind"], "yes" if d["approved"] else "no", d["person_name"], d["signed_in"], d["at"], d["note"])
        for gate, d in decisions
    )
    headings = ("gate", "decision", "who", "signed in", "when", "note")
    showing.table(headings, (tuple(map(showing.plain, row)) for row in rows))


def _unproven(said: Mapping[str, Any]) -> Iterator[str]:
    """What a signature does not make up for."""
    if not said["trail"]["anchored"]:
        yield (
            "exported without the head that Vault keeps of the audit trail: rows may have been cut off its end, or all "
            "of it written anew, before this was signed"
        )
    if alone := [receipt["stage"] for receipt in said["receipts"] if not receipt.get("audited")]:
        yield f"the audit trail does not know what these receipts said when they were written: {', '.join(alone)}"
