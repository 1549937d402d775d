"""The fleet at a glance, in a constant number of statements. Each function is part of an open transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Select, and_, func, or_, select

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Stage
from keyturn.domain.gate import Gate, GateState
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Rotation
from keyturn.ledger import gates as asking
from keyturn.ledger.rows import attempt_of
from keyturn.ledger.tables import attempts, gates, integrations, manifests, receipts
from keyturn.ports import Member


def members(connection: Connection) -> list[Member]:
    """All integrations, sorted by tenant, then environment."""
    newest = {row.key: attempt_of(row) for row in connection.execute(_newest_attempts())}
    done, asked = _done(connection), _asked(connection)
    rotations, turned = _rotations(connection), _turned(connection)
    names = connection.execute(select(integrations.c.key)).scalars().all()
    return [
        _member(key, newest.get(str(key)), done, asked, rotations.get(str(key)), turned.get(str(key)))
        for key in sorted(map(IntegrationKey.parse, names))
    ]


def _member(
    key: IntegrationKey,
    attempt: Attempt | None,
    done: Mapping[UUID, set[Stage]],
    asked: Mapping[UUID, list[Gate]],
    rotation: Rotation | None,
    turned_at: datetime | None,
) -> Member:
    stages = frozenset(done.get(attempt.id, ())) if attempt else frozenset()
    return Member(key, attempt, stages, tuple(asked.get(attempt.id, ())) if attempt else (), rotation, turned_at)


def _newest_attempts() -> Select[tuple[object, ...]]:
    return select(attempts).distinct(attempts.c.key).order_by(attempts.c.key, attempts.c.seq.desc())


def _done(connection: Connection) -> Mapping[UUID, set[Stage]]:
    newest = _newest_attempts().subquery()
    same = and_(receipts.c.attempt_id == newest.c.id, receipts.c.digest == newest.c.digest)
    found: dict[UUID, set[Stage]] = defaultdict(set)
    for row in connection.execute(select(receipts.c.attempt_id, receipts.c.stage).join(newest, same)):
        found[row.attempt_id].add(Stage(row.stage))
    return found


def _asked(connection: Connection) -> Mapping[UUID, list[Gate]]:
    found: dict[UUID, list[Gate]] = defaultdict(list)
    for gate in asking.find(connection, gates.c.state == GateState.OPEN):
        found[gate.attempt_id].append(gate)
    return found


def _rotations(connection: Connection) -> Mapping[str, Rotation]:
    """The policies that were applied. Only they are read: a manifest's body also holds its logos."""
    onboarded = attempts.c.kind == AttemptKind.ONBOARDING, attempts.c.state == AttemptState.COMPLETED
    policy = manifests.c.body["manifest"]["rotation"].label("policy")
    asked = select(attempts.c.key, policy).join(manifests, manifests.c.digest == attempts.c.digest).where(*onboarded)
    rows = connection.execute(asked.distinct(attempts.c.key).order_by(attempts.c.key, attempts.c.seq.desc()))
    return {row.key: Rotation.model_validate(row.policy) for row in rows}


def _turned(connection: Connection) -> Mapping[str, datetime]:
    """When each secret in use became that; as in `keyturn.services.standing`."""
    proven = or_(receipts.c.body["stored_as"].astext != "pending", attempts.c.state == AttemptState.COMPLETED)
    stored = and_(receipts.c.stage == Stage.STORE_SECRET, proven)
    counts = receipts.c.digest == attempts.c.digest, or_(stored, receipts.c.stage == Stage.PROMOTE)
    asked = select(attempts.c.key, func.max(receipts.c.at).label("at")).join(receipts).where(*counts)
    return {row.key: row.at for row in connection.execute(asked.group_by(attempts.c.key))}
