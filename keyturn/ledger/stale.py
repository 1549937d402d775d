"""Which integrations have changed since they were listed. Each function is part of an open transaction.

Triggers mark an integration when a row of its attempts, gates, receipts or conditions changes; the observatory marks it
when something is found to be otherwise than before.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from keyturn.ledger.fleet_tables import stale

CHANNEL = "keyturn_fleet"
_TEXTS = ARRAY(Text)
_MARK = text("SELECT keyturn_mark_stale(key) FROM unnest(:keys) AS key").bindparams(
    bindparam("keys", type_=ARRAY(Text))
)
_TAKE = text("""
WITH taken AS (
    DELETE FROM stale WHERE key = ANY (ARRAY (SELECT DISTINCT key FROM stale LIMIT :limit)) RETURNING key
)
SELECT DISTINCT key FROM taken ORDER BY key
""")


def mark_stale(connection: Connection, keys: Sequence[str]) -> None:
    """Have these integrations listed anew, and wake whoever listens, when the transaction is committed."""
    if keys:
        connection.execute(_MARK, {"keys": list(keys)})


def is_any_stale(connection: Connection) -> bool:
    """Whether there is anything to do."""
    return connection.execute(select(stale.c.key).limit(1)).first() is not None


def take_stale(connection: Connection, limit: int) -> list[str]:
    """Take all marks of up to so many integrations, and give whose they were; each may have many.

    To be read afterwards, by statements of their own: only those see all that was committed before the marks were.
    """
    return list(connection.execute(_TAKE, {"limit": limit}).scalars())
