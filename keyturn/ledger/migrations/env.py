"""Alembic's entry: it runs on the connection and inside the transaction that `keyturn.ledger.migrate` gives it."""

from __future__ import annotations

from alembic import context

from keyturn.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
