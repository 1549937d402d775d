"""`keyturn.ports.Fleet` on PostgreSQL: lists that are kept ready, and made anew where something changed."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Row

from keyturn.domain.fleet import FleetPage, FleetQuery, FleetRow, Pictures
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.ledger import listening, pictures, searching, standings
from keyturn.ledger.stale import is_any_stale
from keyturn.ledger.unit import Unit, transaction
from keyturn.ports import Clock, Fleet

_PATIENCE_S = 2.0  # what was listed a moment ago is better than a page that does not come
_log = logging.getLogger(__name__)


class PostgresFleet(Fleet):
    """The fleet in the ledger.

    What changes an integration only marks it; whoever reads next lists it anew. So nobody who works waits for anybody
    who looks, and who looks sees what was committed before: unless somebody else takes long to list that anew.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
        lock_timeout_s: seconds to wait for another one who counts; for one who lists anew it is two at most.
        blind_after: what nobody has looked at for so long is not known to be well, so it is shown as unknown, and
            counted as that in the pictures. Restricting a list goes by what was found last.
    """

    def __init__(
        self, engine: Engine, clock: Clock, lock_timeout_s: float, blind_after: timedelta | None = None
    ) -> None:
        self._engine, self._clock, self._lock_timeout_s = engine, clock, lock_timeout_s
        self._blind_after = blind_after
        self._unreadable: set[str] = set()

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
        return FleetPage(tuple(self._rows(page)), more)

    def row(self, key: IntegrationKey) -> FleetRow | None:
        """One integration; `None` when it is not known.

        Raises:
            ConfigurationError: a newer keyturn has listed it, with words that this one does not know.
        """
        with self._fresh() as unit:
            row = unit.connection.execute(searching.one(key)).one_or_none()
        if row is None:
            return None
        if found := list(self._rows([row])):
            return found[0]
        raise ConfigurationError(str(key), "was listed by a newer keyturn", "Upgrade this one.")

    def waiting_for(self, groups: Sequence[str], limit: int) -> Sequence[FleetRow]:
        """What waits for one of these groups, the most urgent first."""
        with self._fresh() as unit:
            rows = unit.connection.execute(searching.waiting_for(groups, limit)).all()
        return list(self._rows(rows))

    def pictures(self) -> Pictures:
        """What the pictures show, as somebody counted it less than a quarter of a minute ago, or as it is now."""
        with self._transaction() as unit:
            known = pictures.last(unit)
        if known is not None and pictures.is_new(known, self._clock.now()):
            return known
        with self._fresh() as unit:
            return pictures.count(unit, known, self._blind_after)

    def refresh(self, limit: int) -> int:
        """List up to so many integrations anew, or a few more."""
        return self._list_anew(limit)

    def changes(self, timeout_s: float) -> Generator[frozenset[IntegrationKey], None, None]:
        """Which integrations changed, as it happens."""
        return listening.changed_integrations(self._engine, timeout_s)

    def _rows(self, rows: Iterable[Row[Any]]) -> Iterator[FleetRow]:
        """What can be read of these; a newer keyturn may know words that this one does not."""
        for row in rows:
            try:
                yield standings.row_of(row, self._clock.now(), self._blind_after)
            except standings.UNREADABLE:
                self._leave_out(row.key)

    def _leave_out(self, key: str) -> None:
        if key not in self._unreadable:
            self._unreadable.add(key)
            _log.warning("%s cannot be read, so it is not listed (anew): a newer keyturn has written to it", key)

    def _list_anew(self, limit: int | None = None) -> int:
        """List anew what is marked. If somebody else is at it for long, it is left to them."""
        done, patience = 0, min(self._lock_timeout_s, _PATIENCE_S)
        try:
            while limit is None or done < limit:
                with transaction(self._engine, self._clock, patience, "fleet") as unit:
                    taken = standings.refresh(unit.connection, self._leave_out)
                done += taken
                if taken < standings.BATCH:
                    break
        except UnavailableError:
            _log.info("the fleet is being listed anew by somebody else; what was listed before is shown")
        return done

    def _transaction(self) -> AbstractContextManager[Unit]:
        return transaction(self._engine, self._clock, self._lock_timeout_s, "fleet")

    @contextmanager
    def _fresh(self) -> Iterator[Unit]:
        """A transaction that sees the lists as they are after all that was committed before it."""
        with self._transaction() as unit:
            if not is_any_stale(unit.connection):
                yield unit
                return
        self._list_anew()
        with self._transaction() as unit:
            yield unit
