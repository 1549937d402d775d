"""The audit trail as a chain: every row numbered without gaps, and sealed by a hash.

The hashes are those of `keyturn.domain.trail`, for they are what `keyturn audit verify` compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from keyturn.domain.trail import GENESIS, Chained, Head, seal, text_of

revision = "0003"
down_revision = "0002"

_BATCH = 5000
_SAID = ("key", "attempt_id", "actor", "signed_in", "event", "digest")
_READ = sa.text(
    """
    SELECT id, to_char(timezone('UTC', at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, key, attempt_id::text, actor,
        signed_in, event, digest, detail::text
    FROM audit WHERE id > :after ORDER BY id LIMIT :batch
    """
)
_WRITE = sa.text(
    """
    UPDATE audit SET seq = chained.seq, prev = chained.prev, hash = chained.hash
    FROM unnest(CAST(:ids AS bigint[]), CAST(:seqs AS bigint[]), CAST(:prevs AS text[]), CAST(:hashes AS text[]))
        AS chained (id, seq, prev, hash)
    WHERE audit.id = chained.id
    """
)


def upgrade() -> None:
    """Number and chain what is there, then take the number for the primary key."""
    for column, kind in (("seq", sa.BigInteger), ("prev", sa.Text), ("hash", sa.Text)):
        op.add_column("audit", sa.Column(column, kind, nullable=True))
    op.execute("ALTER TABLE audit DISABLE TRIGGER tr_audit_append_only")
    _chain_all(op.get_bind())
    op.execute("ALTER TABLE audit ENABLE TRIGGER tr_audit_append_only")
    for column in ("seq", "prev", "hash"):
        op.alter_column("audit", column, nullable=False)
    op.drop_index("ix_audit_key", "audit")
    op.drop_constraint("pk_audit", "audit")
    op.drop_column("audit", "id")
    op.create_primary_key("pk_audit", "audit", ["seq"])
    op.create_check_constraint("ck_audit_seq", "audit", "seq >= 1")
    op.create_index("ix_audit_key", "audit", ["key", "seq"])


def downgrade() -> None:
    """Leave the rows in their order, and drop their hashes."""
    op.drop_index("ix_audit_key", "audit")
    op.drop_constraint("ck_audit_seq", "audit")
    for column in ("prev", "hash"):
        op.drop_column("audit", column)
    op.alter_column("audit", "seq", new_column_name="id")
    last = op.get_bind().execute(sa.text("SELECT coalesce(max(id), 0) FROM audit")).scalar_one()
    op.execute(f"ALTER TABLE audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (START WITH {int(last) + 1})")
    op.create_index("ix_audit_key", "audit", ["key", "id"])


def _chain_all(connection: sa.Connection) -> None:
    head, after = GENESIS, -1
    while rows := connection.execute(_READ, {"after": after, "batch": _BATCH}).all():
        chained = _chained(head, rows)
        _write(connection, [row.id for row in rows], chained)
        head, after = Head(chained[-1].seq, chained[-1].hash), rows[-1].id


def _chained(head: Head, rows: Sequence[sa.Row[Any]]) -> list[Chained]:
    made: list[Chained] = []
    for row in rows:
        said = {name: getattr(row, name) for name in _SAID}
        made.append(seal(head, text_of(row.at, said, row.detail)))
        head = Head(made[-1].seq, made[-1].hash)
    return made


def _write(connection: sa.Connection, ids: list[int], chained: list[Chained]) -> None:
    values = {
        "ids": ids,
        "seqs": [row.seq for row in chained],
        "prevs": [row.prev for row in chained],
        "hashes": [row.hash for row in chained],
    }
    connection.execute(_WRITE, values)
