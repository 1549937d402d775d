"""What is fetched now and then, and kept meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from keyturn.errors import KeyturnError

T = TypeVar("T")
_HOUR_S = 3600.0
_RESPITE_S = 5.0


class Kept(Generic[T]):
    """Something of the provider's. Of many who ask at once, one fetches.

    Args:
        now: seconds on a clock that never goes back.
    """

    def __init__(self, fetch: Callable[[], T], now: Callable[[], float]) -> None:
        self._fetch, self._now = fetch, now
        self._lock = threading.Lock()
        self._value: T | None = None
        self._failure: KeyturnError | None = None
        self._at = 0.0

    @property
    def known(self) -> T | None:
        """What was fetched last, without asking."""
        return self._value

    def get(self, oldest_s: float = _HOUR_S) -> T:
        """What was fetched at most that long ago.

        Whoever asks again and again costs the provider one call in five seconds; a failure is not tried again sooner.

        Raises:
            KeyturnError: it cannot be fetched.
        """
        with self._lock:
            age_s = self._now() - self._at
            if self._failure and age_s < _RESPITE_S:
                raise self._failure
            if self._value is None or self._failure or age_s >= max(oldest_s, _RESPITE_S):
                self._renew()
            assert self._value is not None  # noqa: S101  fetched, or an error was raised
            return self._value

    def _renew(self) -> None:
        try:
            self._value, self._failure = self._fetch(), None
        except KeyturnError as failure:
            self._failure = failure
            raise
        finally:
            self._at = self._now()
