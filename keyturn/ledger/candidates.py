"""Every integration as the sweep finds it, a thousand of them in five statements. Part of an open transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

from sqlalchemy import Connection, and_, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Halt, Stage
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Notification, Rotation
from keyturn.domain.sweep import Active, Candidate
from keyturn.ledger.fleet import among
from keyturn.ledger.rows import attempt_of
from keyturn.ledger.tables import attempts, integrations, manifests, receipts

_BATCH = 1000  # integrations; so what is held in memory does not grow with the fleet, but for the candidates themselves


def candidates(connection: Connection) -> list[Candidate]:
    """All integrations, sorted by tenant, then environment."""
    names = connection.execute(select(integrations.c.key)).scalars().all()
    return [found for batch in _batches(sorted(map(IntegrationKey.parse, names))) for found in _of(connection, batch)]


def notifications(connection: Connection, digests: Sequence[str]) -> Mapping[str, Notification]:
    """When people are reminded, by manifest. Only that is read: a manifest's body also holds its logos."""
    told = manifests.c.body["manifest"]["notification"].label("told")
    wanted = manifests.c.digest == any_(literal(list(digests), ARRAY(Text)))
    rows = connection.execute(select(manifests.c.digest, told).where(wanted))
    return {row.digest: Notification.model_validate(row.told or {}) for row in rows}


def _of(connection: Connection, keys: Sequence[IntegrationKey]) -> Iterator[Candidate]:
    names = [str(key) for key in keys]
    lived, policies = _lives(connection, names), _policies(connection, names)
    turned, verified = _turned(connection, names), _verified(connection, names)
    return (_candidate(key, policies[str(key)], lived[str(key)], turned.get(str(key)), verified) for key in keys)


def _candidate(
    key: IntegrationKey,
    rotation: Rotation,
    lived: Sequence[Attempt],
    turned_at: datetime | None,
    verified: frozenset[UUID],
) -> Candidate:
    active = next((a for a in lived if a.state is AttemptState.ACTIVE), None)
    rotations = [a for a in lived if a.kind is AttemptKind.ROTATION and a.state is not AttemptState.ACTIVE]
    last = rotations[0] if rotations else None
    telling = next((a for a in rotations if a.state is AttemptState.COMPLETED or a.halt is not Halt.NONE), None)
    return Candidate(
        key,
        rotation,
        turned_at,
        Active(active.kind, active.halt, active.id in verified) if active else None,
        failed=telling is not None and telling.state is not AttemptState.COMPLETED,
        declined=last is not None and last.state is AttemptState.REJECTED,
        refused_at=last.ended_at if last is not None and last.state is AttemptState.REFUSED else None,
    )


def _lives(connection: Connection, names: Sequence[str]) -> Mapping[str, list[Attempt]]:
    """The attempts of each, newest first."""
    asked = among(select(attempts).order_by(attempts.c.key, attempts.c.seq.desc()), attempts.c.key, names)
    found: dict[str, list[Attempt]] = defaultdict(list)
    for row in connection.execute(asked):
        found[row.key].append(attempt_of(row))
    return found


def _policies(connection: Connection, names: Sequence[str]) -> Mapping[str, Rotation]:
    """What was approved and applied, else what is registered: one that is only registered changes no schedule."""
    policy = manifests.c.body["manifest"]["rotation"].label("policy")
    registered = select(integrations.c.key, policy).join(manifests, manifests.c.digest == integrations.c.digest)
    onboarded = attempts.c.kind == AttemptKind.ONBOARDING, attempts.c.state == AttemptState.COMPLETED
    applied = select(attempts.c.key, policy).join(manifests, manifests.c.digest == attempts.c.digest).where(*onboarded)
    newest = applied.distinct(attempts.c.key).order_by(attempts.c.key, attempts.c.seq.desc())
    found = {row.key: row.policy for row in connection.execute(among(registered, integrations.c.key, names))}
    found |= {row.key: row.policy for row in connection.execute(among(newest, attempts.c.key, names))}
    return {name: Rotation.model_validate(policy or {}) for name, policy in found.items()}


def _turned(connection: Connection, names: Sequence[str]) -> Mapping[str, datetime]:
    """When each secret in use became that, by the newest attempt that says so.

    A promotion counts whatever became of its rotation: one that was rolled back has no receipt any more.
    """
    stored = and_(receipts.c.stage == Stage.STORE_SECRET, attempts.c.state == AttemptState.COMPLETED)
    counts = receipts.c.digest == attempts.c.digest, or_(stored, receipts.c.stage == Stage.PROMOTE)
    asked = select(attempts.c.key, receipts.c.at).join(receipts).where(*counts)
    newest = asked.distinct(attempts.c.key).order_by(attempts.c.key, attempts.c.seq.desc(), receipts.c.at)
    return {row.key: row.at for row in connection.execute(among(newest, attempts.c.key, names))}


def _verified(connection: Connection, names: Sequence[str]) -> frozenset[UUID]:
    """The active attempts that have a receipt of `verify`."""
    mine = attempts.c.state == AttemptState.ACTIVE, receipts.c.stage == Stage.VERIFY
    same = receipts.c.digest == attempts.c.digest
    asked = select(attempts.c.id).join(receipts).where(*mine, same)
    return frozenset(connection.execute(among(asked, attempts.c.key, names)).scalars())


def _batches(keys: Sequence[IntegrationKey]) -> Iterator[list[IntegrationKey]]:
    left = iter(keys)
    while batch := list(islice(left, _BATCH)):
        yield batch
