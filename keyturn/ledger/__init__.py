"""The ledger in PostgreSQL: tables, one transaction a verb, migrations. `repository.PostgresLedger` is the way in."""
