"""Whose a linked account is. Each function is part of an open transaction."""

from __future__ import annotations

from sqlalchemy import Boolean, CompoundSelect, Connection, Select, Text, func, literal_column, select, union

from keyturn.domain.attempt import Stage
from keyturn.domain.gate import GateKind, GateState
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Rotation
from keyturn.ledger.tables import attempts, gates, manifests, receipts

MOST = 20
# Word for word as in the indexes, and not as parameters: only then does PostgreSQL see that they are the same.
_account_id = literal_column("(receipts.body ->> 'account_id')", Text)
_owner_id = literal_column("(manifests.body #>> '{manifest, stackone, origin_owner, id}')", Text)
_is_link = literal_column(f"receipts.stage = '{Stage.LINK_ACCOUNT}'", Boolean)


def concerned(connection: Connection, account_id: str, owner_id: str) -> list[IntegrationKey]:
    """The integrations that an account belongs to, or that wait for one of this owner; sorted, twenty at most."""
    return sorted(map(IntegrationKey.parse, connection.execute(statement(account_id, owner_id)).scalars()))


def statement(account_id: str, owner_id: str) -> CompoundSelect[tuple[str]]:
    """What PostgreSQL is asked."""
    return union(_linked(account_id), _consenting(owner_id), _proving(owner_id)).limit(MOST)


def _linked(account_id: str) -> Select[tuple[str]]:
    mine = attempts.c.id == receipts.c.attempt_id
    return select(attempts.c.key).join(receipts, mine).where(_is_link, _account_id == account_id)


def _consenting(owner_id: str) -> Select[tuple[str]]:
    """By the manifest, of which an owner has few."""
    return _waiting(GateKind.CONSENT).where(_owner_id == owner_id)


def _proving(owner_id: str) -> Select[tuple[str]]:
    """By the gate, of which few are open: most manifests share one proof owner."""
    named = manifests.c.body["manifest"]["rotation"]["canary_owner"]["id"].astext
    return _waiting(GateKind.PROOF).where(func.coalesce(named, Rotation().proof_owner.id) == owner_id)


def _waiting(kind: GateKind) -> Select[tuple[str]]:
    same = (manifests.c.digest == gates.c.digest) & (manifests.c.key == gates.c.key)
    return select(gates.c.key).join(manifests, same).where(gates.c.state == GateState.OPEN, gates.c.kind == kind)
