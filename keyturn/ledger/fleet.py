"""The fleet at a glance, in a constant number of statements. Each function is part of an open transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Stage
from keyturn.domain.gate import Gate, GateState
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Rotation
from keyturn.ledger import gates as asking
from keyturn.ledger.rows import attempt_of
from keyturn.ledger.tables import attempts, gates, integrations, manifests, receipts
from keyturn.ports import Member


def members(connection: Connection, keys: Sequence[str] | None = None) -> list[Member]:
    """All integrations, or those that are named and known; sorted by tenant, then environment."""
    newest = {row.key: attempt_of(row) for row in connection.execute(newest_attempts(keys))}
    done, asked = _done(connection, keys), _asked(connection, keys)
    rotations, turned = _rotations(connection, keys), _turned(connection, keys)
    names = connection.execute(among(select(integrations.c.key), integrations.c.key, keys)).scalars().all()
    return [
        _member(key, newest.get(str(key)), done, asked, rotations.get(str(key)), turned.get(str(key)))
        for key in sorted(map(IntegrationKey.parse, names))
    ]


def newest_attempts(keys: Sequence[str] | None = None) -> Select[Any]:
    """The newest attempt of each integration."""
    newest = select(attempts).distinct(attempts.c.key).order_by(attempts.c.key, attempts.c.seq.desc())
    return among(newest, attempts.c.key, keys)


def among(asked: Select[Any], key: ColumnElement[str], keys: Sequence[str] | None) -> Select[Any]:
    """The same, restricted to these keys, if any are given."""
    return asked if keys is None else asked.where(key == any_(literal(list(keys), ARRAY(Text))))


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


def _done(connection: Connection, keys: Sequence[str] | None) -> Mapping[UUID, set[Stage]]:
    newest = newest_attempts(keys).subquery()
    same = and_(receipts.c.attempt_id == newest.c.id, receipts.c.digest == newest.c.digest)
    found: dict[UUID, set[Stage]] = defaultdict(set)
    for row in connection.execute(select(receipts.c.attempt_id, receipts.c.stage).join(newest, same)):
        found[row.attempt_id].add(Stage(row.stage))
    return found


def _asked(connection: Connection, keys: Sequence[str] | None) -> Mapping[UUID, list[Gate]]:
    found: dict[UUID, list[Gate]] = defaultdict(list)
    mine = () if keys is None else (gates.c.key == any_(literal(list(keys), ARRAY(Text))),)
    for gate in asking.find(connection, gates.c.state == GateState.OPEN, *mine):
        found[gate.attempt_id].append(gate)
    return found


def _rotations(connection: Connection, keys: Sequence[str] | None) -> Mapping[str, Rotation]:
    """The policies that were applied. Only they are read: a manifest's body also holds its logos."""
    onboarded = attempts.c.kind == AttemptKind.ONBOARDING, attempts.c.state == AttemptState.COMPLETED
    policy = manifests.c.body["manifest"]["rotation"].label("policy")
    asked = select(attempts.c.key, policy).join(manifests, manifests.c.digest == attempts.c.digest).where(*onboarded)
    newest = asked.distinct(attempts.c.key).order_by(attempts.c.key, attempts.c.seq.desc())
    rows = connection.execute(among(newest, attempts.c.key, keys))
    return {row.key: Rotation.model_validate(row.policy) for row in rows}


def _turned(connection: Connection, keys: Sequence[str] | None) -> Mapping[str, datetime]:
    """When each secret in use became that; as in `keyturn.services.standing`."""
    proven = or_(receipts.c.body["stored_as"].astext != "pending", attempts.c.state == AttemptState.COMPLETED)
    stored = and_(receipts.c.stage == Stage.STORE_SECRET, proven)
    counts = receipts.c.digest == attempts.c.digest, or_(stored, receipts.c.stage == Stage.PROMOTE)
    asked = select(attempts.c.key, func.max(receipts.c.at).label("at")).join(receipts).where(*counts)
    rows = connection.execute(among(asked, attempts.c.key, keys).group_by(attempts.c.key))
    return {row.key: row.at for row in rows}
