"""What waits for the person who looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from keyturn.console import words
from keyturn.console.render import page
from keyturn.console.visitor import person_of, ports_of
from keyturn.domain.fleet import FleetRow
from keyturn.domain.gate import Channel, Gate, Person, admit
from keyturn.domain.schedule import Reminders, remind_at
from keyturn.errors import NotPermittedError
from keyturn.ports import Fleet, Ledger

router = APIRouter()

MOST = 200


@dataclass(frozen=True, slots=True)
class Question:
    """A gate that waits for the person.

    Attributes:
        asks: what they are asked to do.
        why_not: why their own answer would not count, a clause; empty when it would.
        left: how many approvals are still missing.
        reminded_at: when people are reminded next; `None` when they were reminded as often as they are.
        breaks: what happens when the grace runs out; empty when there is none.
    """

    gate: Gate
    row: FleetRow
    asks: str
    why_not: str
    left: int
    due: Reminders
    reminded_at: datetime | None
    breaks: str


@router.get("/inbox")
def inbox(request: Request) -> Response:
    """What waits for the person, the most urgent first."""
    ports, person = ports_of(request), person_of(request)
    rows = ports.fleet.waiting_for(sorted(person.groups), MOST)
    now = ports.clock.now()
    asked = {member.key: member.gates for member in ports.observatory.members([row.key for row in rows])}
    questions = [q for row in rows for q in _questions(ports.ledger, row, asked.get(row.key, ()), person, now)]
    waiting = _waiting(ports.fleet, person) if len(rows) >= MOST else {}
    return page(request, "inbox.html", questions=questions, waiting=waiting, rest=sum(waiting.values()) - len(rows))


def _waiting(fleet: Fleet, person: Person) -> dict[str, int]:
    """How many integrations wait for each of a person's groups, those that are not shown among them."""
    counted = fleet.pictures().waiting
    return {group: counted[group] for group in sorted(person.groups) if counted.get(group)}


def _questions(
    ledger: Ledger, row: FleetRow, gates: Sequence[Gate], person: Person, now: datetime
) -> Iterator[Question]:
    for gate in gates:
        if person.groups & set(gate.groups):
            due = remind_at(gate.opened_at, ledger.manifest(gate.digest).manifest.notification)
            coming = next((moment for moment in due.remind if moment > now), None)
            yield Question(
                gate,
                row,
                words.asks(gate, row.kind),
                _why_not(gate, person),
                max(0, gate.needed - gate.approvals),
                due,
                coming,
                words.breaks(gate) if row.grace_ends_at else "",
            )


def _why_not(gate: Gate, person: Person) -> str:
    """Why this person's answer would not count; the rules of the services decide, and are only put into words here."""
    if gate.channel is Channel.PREFECT:
        return "by its manifest, it is answered in Prefect's form"
    try:
        admit(gate, person, gate.digest)
    except NotPermittedError:
        decided = any(decision.person_id == person.id for decision in gate.decisions)
        return "you have decided already" if decided else "you started this attempt"
    return ""
