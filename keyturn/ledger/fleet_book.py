"""`keyturn.ports.Fleet` on PostgreSQL: lists that are kept ready, and made anew where something changed."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Engine

from keyturn.domain.fleet import FleetPage, FleetQuery, FleetRow, Pictures
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger import listening, pictures, searching, standings
from keyturn.ledger.stale import is_any_stale
from keyturn.ledger.unit import Unit, transaction
from keyturn.ports import Clock, Fleet


class PostgresFleet(Fleet):
    """The fleet in the ledger.

    What changes an integration only marks it; whoever reads next lists it anew. So nobody who works waits for anybody
    who looks, and who looks sees what was committed before.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
        lock_timeout_s: seconds to wait for another reader who is listing anew.
    """

    def __init__(self, engine: Engine, clock: Clock, lock_timeout_s: float) -> None:
        self._engine, self._clock, self._lock_timeout_s = engine, clock, lock_timeout_s

    def search(self, query: FleetQuery) -> FleetPage:
        """A page of integrations.

        Raises:
            ConfigurationError: `query.after` is no `next` of such a list.
        """
        asked = searching.found_by(query)
        if searching.finds_nothing(query):
            return FleetPage(())
        with self._fresh() as unit:
            rows = unit.connection.execute(asked).all()
        page = rows[: searching.size_of(query)]
        more = searching.place_of(page[-1], query.sort) if len(rows) > len(page) else ""
        return FleetPage(tuple(standings.row_of(row, unit.now()) for row in page), more)

    def row(self, key: IntegrationKey) -> FleetRow | None:
        """One integration; `None` when it is not known."""
        with self._fresh() as unit:
            row = unit.connection.execute(searching.one(key)).one_or_none()
        return standings.row_of(row, unit.now()) if row else None

    def waiting_for(self, groups: Sequence[str], limit: int) -> Sequence[FleetRow]:
        """What waits for one of these groups, the most urgent first."""
        with self._fresh() as unit:
            rows = unit.connection.execute(searching.waiting_for(groups, limit)).all()
        return [standings.row_of(row, unit.now()) for row in rows]

    def pictures(self) -> Pictures:
        """What the pictures show, as somebody counted it less than a quarter of a minute ago, or as it is now."""
        with self._transaction() as unit:
            known = pictures.last(unit)
        if known is not None and pictures.is_new(known, self._clock.now()):
            return known
        with self._fresh() as unit:
            return pictures.count(unit, known)

    def changes(self, timeout_s: float) -> Generator[frozenset[IntegrationKey], None, None]:
        """Which integrations changed, as it happens."""
        return listening.changed_integrations(self._engine, timeout_s)

    def _transaction(self) -> AbstractContextManager[Unit]:
        return transaction(self._engine, self._clock, self._lock_timeout_s, "fleet")

    @contextmanager
    def _fresh(self) -> Iterator[Unit]:
        """A transaction that sees the lists as they are after all that was committed before it."""
        with self._transaction() as unit:
            if not is_any_stale(unit.connection):
                yield unit
                return
        while True:
            with self._transaction() as unit:
                if not standings.refresh(unit.connection):
                    break
        with self._transaction() as unit:
            yield unit
