"""Clocks: the system's, and one for the sandbox that can be moved forward."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keyturn.errors import ConfigurationError


class SystemClock:
    """Implements `keyturn.ports.Clock`."""

    def now(self) -> datetime:
        """The present, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait for real."""
        time.sleep(seconds)


class ShiftedClock:
    """Implements `keyturn.ports.Clock` for the sandbox, where a person may move time on by days.

    The time is the system's plus what the file says when it is asked. A process never takes back an offset it has
    seen: whoever has waited for a moment must not find it in the future again.

    Args:
        file: JSON, `{"offset_seconds": 604800}`. While there is none, the offset is 0.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._greatest = timedelta(0)

    def now(self) -> datetime:
        """The present of the sandbox, in UTC. Raises what `offset` raises."""
        self._greatest = max(self._greatest, self.offset())
        return datetime.now(UTC) + self._greatest

    def sleep(self, seconds: float) -> None:
        """Wait for real: moving the clock wakes nobody."""
        time.sleep(seconds)

    def offset(self) -> timedelta:
        """What the file says now.

        Raises:
            ConfigurationError: the file says nothing of the kind.
        """
        try:
            return timedelta(seconds=float(json.loads(self._file.read_text(encoding="utf-8"))["offset_seconds"]))
        except FileNotFoundError:
            return timedelta(0)
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            remedy = "`keyturn sandbox advance` writes it; outside of a sandbox unset KEYTURN_SANDBOX_CLOCK."
            raise ConfigurationError(str(self._file), "is not the clock of a sandbox", remedy) from None
