"""What the page of a gate shows: the question, who is asked by whom, what comes if nobody acts, and who may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import takewhile
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from keyturn.console import premises
from keyturn.console.pages.gate_kit import of_rotation, screens_of
from keyturn.console.pages.gate_words import PROBES, SAID, Trouble, ask_of, declining, of_last_link, trouble
from keyturn.console.pages.trail_words import readable
from keyturn.console.problems import NotFoundError, status_of
from keyturn.console.render import page
from keyturn.console.visitor import person_of, ports_of
from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Stage, Terms
from keyturn.domain.difference import Difference, differences
from keyturn.domain.gate import Channel, Gate, GateKind, GateState, Person, admit
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.schedule import remind_at
from keyturn.errors import GateClosedError, KeyturnError, RefusedError
from keyturn.services.intake import ASKS_FOR_PAIR
from keyturn.services.rotation.asking import what_would_happen
from keyturn.services.rotation.terms import grace_at_stake, grace_of, hours_of
from keyturn.wiring import Ports

_ENTRIES = 500  # of one attempt's trail, to find out what its requester is called


@dataclass(frozen=True, slots=True)
class Compared:
    """A manifest beside an earlier one.

    Attributes:
        to: what the earlier one is, e.g. `what is applied now`.
    """

    to: str
    digest: str
    differences: tuple[Difference, ...]


def gate_of(request: Request, gate_id: str) -> Gate:
    """The gate of a path.

    Raises:
        NotFoundError: there is none.
    """
    try:
        return ports_of(request).ledger.gate(UUID(gate_id))
    except (ValueError, RefusedError):
        raise NotFoundError("this gate", "does not exist", "See the inbox for what waits for you.") from None


def open_gate(request: Request, gate_id: str, *kinds: GateKind) -> Gate:
    """The gate of a path, to be answered now: nobody answers a question that they have not seen.

    Raises:
        NotFoundError: there is none.
        GateClosedError: it is not open any more, or asks for something else.
    """
    gate = gate_of(request, gate_id)
    if gate.state is not GateState.OPEN:
        raise GateClosedError(str(gate.key), f"this gate is {gate.state}", "See what is asked now.")
    if kinds and gate.kind not in kinds:
        raise GateClosedError(str(gate.key), "this gate asks for something else", "See what is asked now.")
    return gate


def show(request: Request, gate_id: str, error: KeyturnError | None = None, handed: str = "") -> Response:
    """The page of a gate, as it is now.

    Args:
        request: of the person who looks.
        gate_id: as it stands in the path.
        error: what went wrong, if something did.
        handed: what went wrong was a `pair` or a `token` that was handed over; empty otherwise.
    """
    gate, ports, person = gate_of(request, gate_id), ports_of(request), person_of(request)
    sealed, attempt = ports.ledger.manifest(gate.digest), ports.ledger.attempt(gate.attempt_id)
    is_open = gate.state is GateState.OPEN
    ticked = ports.visits.ticked(gate.id, person.id) if is_open else frozenset[int]()
    values: dict[str, object] = {
        "gate": gate,
        "attempt": attempt,
        "sealed": sealed,
        "manifest": sealed.manifest,
        "ask": ask_of(gate),
        "is_open": is_open,
        "trouble": trouble(error, gate.key) if error else None,
        "said": SAID.get(request.query_params.get("said", "")),
        "handed": handed,
        "here": f"{premises.address(ports.settings.console)}/gates/{gate.id}",
        "now_open": _asked_now(ports, gate),
        "requester": _requester(ports, gate, person),
        "hindrance": _hindrance(gate, person) if is_open else None,
        "screens": screens_of(gate, sealed, ports.settings, ticked),
        "ends": _end_of_older(ports, attempt),
        **_more(ports, gate, attempt, sealed),
    }
    return page(request, "gate.html", status_of(error) if error else HTTPStatus.OK, **values)


def _more(ports: Ports, gate: Gate, attempt: Attempt, sealed: SealedManifest) -> dict[str, object]:
    """What only some kinds of gates show."""
    rotation, now = of_rotation(gate), ports.clock.now()
    terms = Terms(second=bool(gate.question.get("second")))
    asks = gate.state is GateState.OPEN and gate.groups
    in_prefect = gate.channel is Channel.PREFECT and attempt.flow_run_id
    return {
        "steps": what_would_happen(sealed, terms, now) if rotation else (),
        "compared": _compared(ports, gate, sealed) if gate.kind is GateKind.APPROVE and not rotation else None,
        "noticed": _noticed(ports, gate) if gate.kind is GateKind.APPROVE else (),
        "reminders": remind_at(gate.opened_at, sealed.manifest.notification) if asks else None,
        "declining": declining(gate, attempt.kind),
        "last_link": of_last_link(str(gate.question.get("last", ""))),
        "proves_from": _moment(gate.question, "proves_from"),
        "grace_until": _moment(gate.question, "until"),
        "clicked_at": _moment(gate.answer, "clicked_at"),
        "hours": hours_of(gate) if gate.kind is GateKind.GONG_ROTATION else None,
        "probe": PROBES.get(str(gate.answer.get("probe", ""))),
        "takes_pair": gate.kind in ASKS_FOR_PAIR,
        "prefect_url": ports.runs.url(attempt.flow_run_id) if in_prefect and attempt.flow_run_id else "",
    }


def _asked_now(ports: Ports, gate: Gate) -> Gate | None:
    """What the same attempt asks now, if that is another question; the same one asked afresh comes first."""
    others = [g for g in ports.ledger.gates(key=gate.key) if g.attempt_id == gate.attempt_id and g.id != gate.id]
    return max(others, key=lambda other: (other.kind is gate.kind, other.opened_at), default=None)


def _hindrance(gate: Gate, person: Person) -> Trouble | None:
    """Why this person's answer would not count."""
    try:
        admit(gate, person, gate.digest)
    except KeyturnError as error:
        return trouble(error, gate.key)
    return None


def _requester(ports: Ports, gate: Gate, person: Person) -> str:
    """What whoever asked is called, as the trail knows them; empty when nobody had signed in."""
    if gate.requester in (None, person.id):
        return "you" if gate.requester else ""
    rows = ports.trail.latest(gate.key, _ENTRIES, attempt_id=gate.attempt_id)
    openings = (e for e in readable(rows) if e.event in ("attempt.opened", "attempt.changed"))
    said = (e.detail for e in openings if e.actor == gate.requester)
    named = (str(detail.get("name", "")) for detail in said if isinstance(detail, Mapping))
    return next(filter(None, named), str(gate.requester))


def _compared(ports: Ports, gate: Gate, sealed: SealedManifest) -> Compared | None:
    """The manifest beside the one that is applied, or else beside the one that was asked about before."""
    for attempt in ports.ledger.attempts(gate.key):
        applied = attempt.kind is AttemptKind.ONBOARDING and attempt.state is AttemptState.COMPLETED
        if applied and attempt.id != gate.attempt_id:
            return _beside(ports, "what is applied now", attempt.digest, sealed)
    earlier = takewhile(lambda other: other.id != gate.id, ports.ledger.gates(key=gate.key, only_open=False))
    asked = next((g for g in reversed(list(earlier)) if g.digest != gate.digest), None)
    return _beside(ports, "what was asked about before", asked.digest, sealed) if asked else None


def _beside(ports: Ports, to: str, digest: str, sealed: SealedManifest) -> Compared:
    return Compared(to, digest, differences(ports.ledger.manifest(digest), sealed))


def _noticed(ports: Ports, gate: Gate) -> tuple[str, ...]:
    """What lint had to say of the manifest without refusing it."""
    receipts = ports.ledger.receipts(gate.attempt_id)
    noticed = next((r.body.get("noticed") for r in receipts if r.stage is Stage.REGISTER), None)
    return tuple(dict.fromkeys(map(str, noticed))) if isinstance(noticed, list) else ()


def _end_of_older(ports: Ports, attempt: Attempt) -> datetime | None:
    """Until when the older secret of a rotation works at least, once its click has been."""
    if attempt.kind is not AttemptKind.ROTATION:
        return None
    turned = next((r for r in ports.ledger.receipts(attempt.id) if r.stage is Stage.GONG_ROTATION), None)
    grace = grace_of(turned) if turned else grace_at_stake(ports.ledger, attempt)
    return grace.earliest_end if grace else None


def _moment(said: Mapping[str, object], name: str) -> datetime | None:
    text = str(said.get(name, ""))
    return datetime.fromisoformat(text) if text else None
