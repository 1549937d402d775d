"""Which executions are alive: a lock for each, that PostgreSQL takes back when its process is gone, however it went.

Prefect says that a run is running long after its process was killed. A session's advisory lock ends with the session,
so it needs no heartbeat and no clock. A pooler in transaction mode between here and PostgreSQL would break that.
"""

from __future__ import annotations

import zlib
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from keyturn.domain.attempt import Execution
from keyturn.ledger.faults import translated

_OURS = 0x6B74  # any number, the same for every keyturn
_TAKE = text("SELECT pg_try_advisory_lock(:ours, :number)")
_LOOK = text(
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = :ours "
    "AND objid = :number AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


class SignsOfLife:
    """Gives signs of life, and looks for those of others."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: list[Connection] = []

    def hold(self, execution: Execution) -> None:
        """Hold the execution's lock until `end`, or until the process ends."""
        with translated(self._engine.url, str(execution.key)):
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()  # never back into the pool: its lock would go with it
            self._held.append(connection)
            connection.execute(_TAKE, {"ours": _OURS, "number": _number(execution.attempt_id, execution.fence)})

    def held(self, attempt_id: UUID, fence: int) -> bool:
        """Whether somebody holds it."""
        with translated(self._engine.url, str(attempt_id)), self._engine.connect() as connection:
            return bool(connection.execute(_LOOK, {"ours": _OURS, "number": _number(attempt_id, fence)}).scalar())

    def end(self) -> None:
        """Let go of everything."""
        while self._held:
            self._held.pop().close()


def _number(attempt_id: UUID, fence: int) -> int:
    # 31 bits. Two executions with one number would only make a restart wait for the other one's end.
    return zlib.crc32(f"{attempt_id}:{fence}".encode()) & 0x7FFFFFFF
