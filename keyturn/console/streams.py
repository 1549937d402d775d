"""The open streams of one process, and the one thread that listens to the ledger for all of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from keyturn.domain.integration import IntegrationKey
from keyturn.errors import RateLimitedError, UnavailableError
from keyturn.ports import Fleet

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is done, in seconds, and how many streams one person may have.

    Attributes:
        heartbeat_s: after this long without a change, a stream says that it is still there.
        session_s: how often a stream looks whether its session still stands.
        listen_s: how often the listener looks whether anybody still wants it.
        first_pause_s: how long it waits after a failure; twice as long after each further one.
    """

    heartbeat_s: float = 15.0
    session_s: float = 45.0
    listen_s: float = 2.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    most: int = 20


class News(StrEnum):
    """What a stream says."""

    HELLO = "hello"  # it hears of changes from here on; there may have been some before
    CHANGED = "changed"
    LOST = "lost"  # it hears of none until it says hello again


class Stream:
    """What one browser is still to be told. Told from the listener's thread, taken in its own event loop."""

    def __init__(self, person_id: str, loop: asyncio.AbstractEventLoop) -> None:
        self.person_id, self.is_ended = person_id, False
        self._loop, self._awake = loop, asyncio.Event()
        self._news: dict[News, frozenset[IntegrationKey]] = {News.HELLO: frozenset()}

    def tell(self, news: News, keys: frozenset[IntegrationKey] = frozenset()) -> None:
        """Have it say something; what is not taken yet is said together."""
        with suppress(RuntimeError):  # its loop is closed: the server ended before it did
            self._loop.call_soon_threadsafe(self._add, news, keys)

    def end(self) -> None:
        """Have it end."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)

    async def wait(self, timeout_s: float) -> None:
        """Wait until there is something to say, or for so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), timeout_s)

    def take(self) -> Mapping[News, frozenset[IntegrationKey]]:
        """What there is to say, in its order."""
        taken, self._news = self._news, {}
        if not self.is_ended:
            self._awake.clear()
        return taken

    def _add(self, news: News, keys: frozenset[IntegrationKey]) -> None:
        self._news[news] = self._news.pop(news, frozenset()) | keys
        self._awake.set()

    def _end(self) -> None:
        self.is_ended = True
        self._awake.set()


class Streams:
    """Every open stream. The listener begins with the first one, and ends after the last."""

    def __init__(self, fleet: Fleet, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._fleet, self._lock, self._closing = fleet, threading.Lock(), threading.Event()
        self._open: set[Stream] = set()
        self._is_listening, self._pause_s = False, 0.0

    def require_room(self, person_id: str) -> None:
        """Refuse a person who has too many.

        Raises:
            RateLimitedError: they have.
        """
        with self._lock:
            count = Counter(stream.person_id for stream in self._open)[person_id]
        if count >= self.pace.most:
            raise RateLimitedError("live updates", f"{count} pages of yours follow changes already", "Close some.", 60)

    def open(self, person_id: str, loop: asyncio.AbstractEventLoop) -> Stream:
        """A stream in this event loop."""
        stream = Stream(person_id, loop)
        with self._lock:
            self._open.add(stream)
            if not self._is_listening:
                self._is_listening = True
                threading.Thread(target=self._listen, name="keyturn live", daemon=True).start()
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream that is over."""
        with self._lock:
            self._open.discard(stream)

    def end(self) -> None:
        """End every stream, because the server ends."""
        self._closing.set()
        for stream in self._all():
            stream.end()

    def _listen(self) -> None:
        self._pause_s = self.pace.first_pause_s
        while self._is_wanted():
            try:
                self._hear()
            except Exception as error:  # noqa: BLE001  whatever it is, streams that hear nothing more would look alive
                _log.warning("live updates pause: %s", error)
                self._say(News.LOST)
                self._closing.wait(self._pause_s)
                self._pause_s = min(2 * self._pause_s, self.pace.longest_pause_s)
            else:
                return

    def _hear(self) -> None:
        """Pass changes on, until nobody wants them any more."""
        for place, keys in enumerate(self._fleet.changes(self.pace.listen_s)):
            if not self._is_wanted():
                return
            if place == 0:
                self._pause_s = self.pace.first_pause_s
                self._say(News.HELLO)
            if keys:
                self._say(News.CHANGED, keys)
        raise UnavailableError("the ledger", "says no more what changes")

    def _say(self, news: News, keys: frozenset[IntegrationKey] = frozenset()) -> None:
        for stream in self._all():
            stream.tell(news, keys)

    def _is_wanted(self) -> bool:
        """Whether anybody follows; if not, the next one to come begins a new listener, in the same breath."""
        with self._lock:
            self._is_listening = bool(self._open) and not self._closing.is_set()
            return self._is_listening

    def _all(self) -> list[Stream]:
        with self._lock:
            return list(self._open)
