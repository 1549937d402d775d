"""Signals: requests to vendors are counted, and whose account a webhook is about is found by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keyturn.ledger.standstill import stand_still

revision = "0006"
down_revision = "0005"

_WORKED_WITH = ("receipts", "manifests", "notices")
_OUTCOMES = "outcome IN ('ok', 'refused', 'rate_limited', 'failed', 'not_sent', 'lost')"
_ACCOUNT = sa.text("(body ->> 'account_id')")
_OWNER = sa.text("(body #>> '{manifest, stackone, origin_owner, id}')")


def upgrade() -> None:
    """Make the table and the indexes."""
    stand_still(_WORKED_WITH)
    op.create_table(
        "vendor_calls",
        sa.Column("vendor", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("vendor", "outcome", name="pk_vendor_calls"),
        sa.CheckConstraint(_OUTCOMES, name="ck_vendor_calls_outcome"),
    )
    op.create_index("ix_receipts_account", "receipts", [_ACCOUNT], postgresql_where=sa.text("stage = 'link_account'"))
    op.create_index("ix_manifests_owner", "manifests", [_OWNER])
    given_up = sa.text("settled_at IS NOT NULL AND failure <> ''")
    op.create_index("ix_notices_given_up", "notices", ["settled_at"], postgresql_where=given_up)


def downgrade() -> None:
    """Drop them, counts and all."""
    stand_still(_WORKED_WITH)
    op.drop_index("ix_notices_given_up", "notices")
    op.drop_index("ix_manifests_owner", "manifests")
    op.drop_index("ix_receipts_account", "receipts")
    op.drop_table("vendor_calls")
