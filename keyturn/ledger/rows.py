"""Rows of the ledger's tables as domain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Halt, Receipt, Stage, Terms, Wish
from keyturn.domain.gate import Channel, Decision, Gate, GateKind, GateState
from keyturn.domain.integration import IntegrationKey
from keyturn.ports import AuditEntry


def attempt_of(row: Row[Any]) -> Attempt:
    """A row of `attempts`."""
    return Attempt(
        id=row.id,
        key=IntegrationKey.parse(row.key),
        digest=row.digest,
        requester=row.requester_id,
        state=AttemptState(row.state),
        fence=row.fence,
        flow_run_id=row.flow_run_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        reason=row.reason,
        kind=AttemptKind(row.kind),
        halt=Halt(row.halt),
        wish=Wish(row.wish),
        terms=Terms(**row.terms),
        restarts=row.restarts,
        restarted_at=row.restarted_at,
        begun_at=row.begun_at,
    )


def receipt_of(row: Row[Any]) -> Receipt:
    """A row of `receipts`."""
    return Receipt(stage=Stage(row.stage), body=row.body, at=row.at)


def gate_of(row: Row[Any], decisions: Iterable[Decision]) -> Gate:
    """A row of `gates`, with its decisions."""
    return Gate(
        id=row.id,
        attempt_id=row.attempt_id,
        key=IntegrationKey.parse(row.key),
        kind=GateKind(row.kind),
        digest=row.digest,
        requester=row.requester_id,
        needed=row.needed,
        groups=tuple(row.groups),
        channel=Channel(row.channel),
        state=GateState(row.state),
        opened_at=row.opened_at,
        rearm_at=row.rearm_at,
        decided_at=row.decided_at,
        resumed_at=row.resumed_at,
        reason=row.reason,
        decisions=tuple(decisions),
        question=row.question,
        answer=row.answer,
    )


def decision_of(row: Row[Any]) -> Decision:
    """A row of `decisions`, its columns labelled `d_…` because it came joined to its gate."""
    return Decision(
        person_id=row.d_person_id,
        person_name=row.d_person_name,
        signed_in=row.d_signed_in,
        approved=row.d_approved,
        digest=row.d_digest,
        note=row.d_note,
        at=row.d_at,
    )


def entry_of(row: Row[Any]) -> AuditEntry:
    """A row of `audit`."""
    return AuditEntry(
        at=row.at,
        key=row.key,
        attempt_id=row.attempt_id,
        actor=row.actor,
        signed_in=row.signed_in,
        event=row.event,
        digest=row.digest,
        detail=row.detail,
    )
