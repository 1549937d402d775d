"""The audit trail's rows in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyturn.console.words import ASKED, said
from keyturn.domain.gate import GateKind
from keyturn.domain.trail import AuditEntry, Chained
from keyturn.errors import KeyturnError

_Detail = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the trail for people.

    Attributes:
        who: a name, `system`, or `unknown`.
        signed_in: how, empty for the system.
        says: what was done, a clause.
        tone: `warn` or `bad` for what should catch the eye.
    """

    seq: int
    at: datetime | None
    who: str
    signed_in: str
    event: str
    says: str
    tone: str = ""


def told(rows: Sequence[Chained]) -> list[Told]:
    """Rows in words; one that cannot be read says so."""
    return [_told(row) for row in rows]


def readable(rows: Iterable[Chained]) -> list[AuditEntry]:
    """What rows say, without those that hold what keyturn never writes: a list of the rows in words names these."""
    found: list[AuditEntry] = []
    for row in rows:
        try:
            found.append(row.entry)
        except KeyturnError:
            continue
    return found


def _told(row: Chained) -> Told:
    try:
        entry = row.entry
    except KeyturnError as error:
        return Told(row.seq, None, "unknown", "", "?", f"{error.problem}: {error.remedy}", "bad")
    named = entry.detail.get("name") if isinstance(entry.detail, Mapping) else None
    return Told(
        row.seq,
        entry.at,
        str(named or entry.actor),
        entry.signed_in,
        entry.event,
        says(entry),
        _TONES.get(entry.event, ""),
    )


def says(entry: AuditEntry) -> str:
    """What a row tells of, a clause."""
    if not isinstance(entry.detail, Mapping):  # mypy knows it is one; whoever wrote to the table by force may not
        return str(entry.detail)  # type: ignore[unreachable]
    words = _WORDS.get(entry.event)
    return words(entry.detail) if words else _anything(entry.detail)


def _anything(detail: _Detail) -> str:
    """What no words are made for yet, name by name."""
    return ", ".join(f"{said(name)} {value}" for name, value in sorted(detail.items()) if name != "name")


def _because(what: str, detail: _Detail) -> str:
    return f"{what}: {detail['reason']}" if detail.get("reason") else what


def _opened(detail: _Detail) -> str:
    unusual = [said(name) for name in ("compromised", "ignore_window", "second") if detail.get(name)]
    return f"started the {detail.get('kind')}" + (f" ({', '.join(unusual)})" if unusual else "")


def _kind(detail: _Detail) -> str:
    kind = str(detail.get("kind"))
    return ASKED[GateKind(kind)] if kind in set(GateKind) else said(kind)


def _asked(detail: _Detail) -> str:
    groups = detail.get("groups")
    who = f" {' or '.join(map(str, groups))}" if isinstance(groups, list) and groups else ""
    return f"asked{who} for {_kind(detail)}"


def _decided(detail: _Detail) -> str:
    kind = _kind(detail)
    yes = _YES.get(str(detail.get("kind")), f"said yes to {kind}")
    note = f": “{detail['note']}”" if detail.get("note") else ""
    return f"{yes if detail.get('approved') else f'said no to {kind}'}{note}"


def _refused(detail: _Detail) -> str:
    faults = detail.get("faults")
    what = "; ".join(map(str, faults)) if isinstance(faults, list) else f"Gong answered {detail.get('code')}"
    return f"handed in a pair that {'lint' if detail.get('by') == 'lint' else 'the probe'} refused: {what}"


def _terms(detail: _Detail) -> str:
    chosen = [said(name) for name in ("compromised", "ignore_window", "second") if detail.get(name)]
    return f"the rotation goes on under other terms: {', '.join(chosen) or 'the usual ones'}"


_YES: Mapping[str, str] = {
    GateKind.APPROVE: "approved it",
    GateKind.GONG_ADMIN: "handed the pair from Gong in",
    GateKind.GONG_ROTATION: "handed the new secret from Gong in",
}

_WORDS: Mapping[str, Callable[[_Detail], str]] = {
    "attempt.opened": _opened,
    "attempt.changed": lambda d: f"brought a changed manifest; it was {str(d.get('from'))[:12]}",
    "attempt.completed": lambda d: _because("the attempt has completed", d),
    "attempt.rejected": lambda d: _because("the attempt has ended, rejected", d),
    "attempt.abandoned": lambda d: _because("abandoned the attempt", d),
    "attempt.refused": lambda d: _because("the attempt has ended before anything was changed", d),
    "attempt.restarted": lambda d: f"its run was lost; another one was started, number {d.get('times')} since progress",
    "attempt.fence_raised": lambda d: f"the ledger was restored; its executions go on from number {d.get('fence')}",
    "execution.begun": lambda d: f"execution {d.get('fence')} began",
    "receipt.written": lambda d: f"{said(d.get('stage'))} is done",
    "receipt.withdrawn": lambda d: _because(f"{said(d.get('stage'))} has to be done again", d),
    "gate.opened": _asked,
    "gate.amended": lambda d: f"said more about {_kind(d)}",
    "gate.closed": lambda d: _because(f"{_kind(d)} is closed, {d.get('state')}", d),
    "gate.decided": _decided,
    "gate.decided_by_form": lambda d: f"{_decided(d)} in Prefect's form, as “{d.get('name_as_typed')}”",
    "gate.void": lambda d: _because(f"{_kind(d)} is void", d),
    "gate.expired": lambda d: _because(f"{_kind(d)} has expired", d),
    "rotation.rolled_back": lambda d: _because("the rotation is halted, rolled back", d),
    "rotation.orphaned": lambda d: _because("the rotation is halted, orphaned", d),
    "rotation.resumed": lambda d: _because("let the rotation go on", d),
    "rotation.wished": lambda d: _because(f"wants of the rotation: {said(d.get('wish')) or 'nothing more'}", d),
    "rotation.terms_changed": _terms,
    "link.made": lambda _d: "made an auth link",
    "intake.refused": _refused,
    "credential.revealed": lambda d: f"had the pair wrapped for one reading within {d.get('ttl_s')} s",
    "alert.wrapping_token_used": lambda d: f"handed in a wrapping token that was used before: {d.get('problem')}",
}

_TONES = {
    "alert.wrapping_token_used": "bad",
    "rotation.orphaned": "bad",
    "rotation.rolled_back": "warn",
    "attempt.rejected": "warn",
    "attempt.refused": "warn",
    "attempt.restarted": "warn",
    "intake.refused": "warn",
    "credential.revealed": "warn",
}
