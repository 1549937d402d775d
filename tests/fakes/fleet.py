"""A fleet in memory: rows that a test writes, and changes that it announces."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from keyturn.domain.fleet import FleetPage, FleetQuery, FleetRow, Pictures
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError, KeyturnError


@dataclass
class FakeFleet:
    """Implements `keyturn.ports.Fleet`.

    Attributes:
        rows: in the order of every list.
        drawn: what the pictures show besides what is counted from the rows.
        listeners: how many listen for changes at the moment.
        failure: what listening fails with from now on; `None` for nothing.
    """

    rows: list[FleetRow] = field(default_factory=list)
    drawn: Pictures = field(default_factory=lambda: Pictures(datetime(2026, 3, 2, 9, tzinfo=UTC)))
    listeners: int = 0
    began: int = 0
    failure: KeyturnError | None = None
    _heard: list[queue.SimpleQueue[object]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def search(self, query: FleetQuery) -> FleetPage:
        """A page; its `next` is how many rows came before."""
        if query.after and not query.after.isdigit():
            raise ConfigurationError("after", "is no place in this list", "Begin at the first page.")
        found = [row for row in self.rows if _fits(row, query)]
        start = int(query.after or 0)
        end = start + query.limit
        return FleetPage(tuple(found[start:end]), str(end) if end < len(found) else "")

    def row(self, key: IntegrationKey) -> FleetRow | None:
        """One of them."""
        return next((row for row in self.rows if row.key == key), None)

    def waiting_for(self, groups: Sequence[str], limit: int) -> Sequence[FleetRow]:
        """Those that wait for one of the groups."""
        return [row for row in self.rows if any(set(w.groups) & set(groups) for w in row.waiting)][:limit]

    def pictures(self) -> Pictures:
        """Counted from the rows."""
        return replace(
            self.drawn,
            total=len(self.rows),
            states=Counter(row.state for row in self.rows),
            healths=Counter(row.health for row in self.rows),
            causes=Counter(cause for row in self.rows for cause in row.causes),
            waiting=Counter(group for row in self.rows for w in row.waiting for group in w.groups),
        )

    def changes(self, timeout_s: float) -> Iterator[frozenset[IntegrationKey]]:
        """What `change` announces."""
        mine: queue.SimpleQueue[object] = queue.SimpleQueue()
        with self._lock:
            self._heard.append(mine)
            self.listeners, self.began = self.listeners + 1, self.began + 1
        try:
            if self.failure is not None:
                raise self.failure
            yield frozenset()
            while True:
                yield _next(mine, timeout_s)
        finally:
            with self._lock:
                self._heard.remove(mine)
                self.listeners -= 1

    def change(self, *keys: str) -> None:
        """Say that these changed."""
        self._say(frozenset(IntegrationKey.parse(key) for key in keys))

    def break_off(self, failure: KeyturnError) -> None:
        """Have whoever listens lose the connection, once."""
        self._say(failure)

    def _say(self, what: object) -> None:
        with self._lock:
            for heard in self._heard:
                heard.put(what)


def _next(mine: queue.SimpleQueue[object], timeout_s: float) -> frozenset[IntegrationKey]:
    try:
        heard = mine.get(timeout=timeout_s)
    except queue.Empty:
        return frozenset()
    if isinstance(heard, KeyturnError):
        raise heard
    assert isinstance(heard, frozenset)
    return heard


def _fits(row: FleetRow, query: FleetQuery) -> bool:
    return (
        query.text in str(row.key)
        and (not query.states or row.state in query.states)
        and (not query.healths or row.health in query.healths)
        and (query.cause is None or query.cause in row.causes)
        and (not query.group or any(query.group in w.groups for w in row.waiting))
    )
