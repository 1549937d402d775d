"""What is fetched now and then, and kept meanwhile."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from keyturn.errors import KeyturnError, TransientError

T = TypeVar("T")
_HOUR_S, _DAY_S = 3600.0, 86_400.0
_RESPITE_S = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Fetched(Generic[T]):
    value: T
    at_s: float


@dataclass(frozen=True, slots=True)
class _Failed:
    error: KeyturnError
    at_s: float


class Kept(Generic[T]):
    """Something of the provider's. Of many who ask at once one fetches, and those wait who can be given nothing else.

    Args:
        now: seconds on a clock that never goes back.
    """

    def __init__(self, fetch: Callable[[], T], now: Callable[[], float]) -> None:
        self._fetch, self._now = fetch, now
        self._fetching = threading.Lock()
        self._fetched: _Fetched[T] | None = None
        self._failed: _Failed | None = None

    @property
    def known(self) -> T | None:
        """What was fetched last, without asking."""
        return self._fetched.value if self._fetched else None

    def get(self) -> T:
        """What was fetched within an hour; while the provider gives no answer, within a day.

        Whoever asks again and again costs the provider one call in five seconds; a failure is not tried again sooner.

        Raises:
            KeyturnError: it cannot be fetched.
        """
        spare = self._within(_DAY_S)
        if spare is None:
            return self._newer_than(_HOUR_S)
        if self._within(_HOUR_S) is None and self._fetching.acquire(blocking=False):
            try:
                return self._unless_failed()
            except TransientError as error:
                _log.warning("what is known is kept: %s", error)
            finally:
                self._fetching.release()
        return spare.value

    def newest(self) -> T:
        """What was fetched within five seconds.

        Raises:
            KeyturnError: it cannot be fetched.
        """
        return self._newer_than(_RESPITE_S)

    def _newer_than(self, age_s: float) -> T:
        with self._fetching:
            fetched = self._within(age_s)
            return fetched.value if fetched else self._unless_failed()

    def _within(self, age_s: float) -> _Fetched[T] | None:
        fetched = self._fetched
        return fetched if fetched and self._now() - fetched.at_s < age_s else None

    def _unless_failed(self) -> T:
        """Fetch it, if that has not failed just now; an error object is raised once, since each raise changes it."""
        if self._failed and self._now() - self._failed.at_s < _RESPITE_S:
            raise copy.copy(self._failed.error)
        try:
            value = self._fetch()
        except KeyturnError as error:
            self._failed = _Failed(copy.copy(error), self._now())
            raise
        self._fetched, self._failed = _Fetched(value, self._now()), None
        return value
