"""Waiting in the process for what a person may do at once, before the run gives its worker back."""

from __future__ import annotations

from collections.abc import Callable

from keyturn.domain.attempt import Receipt
from keyturn.domain.gate import Gate
from keyturn.ports import Clock
from keyturn.settings import WaitingSettings

_GROWTH = 1.5


def patiently(look: Callable[[], Receipt | Gate], clock: Clock, waiting: WaitingSettings) -> Receipt | Gate:
    """Look until there is a receipt, at growing intervals, for at most `waiting.in_process_s` seconds.

    Returns:
        The receipt, or the gate that is still open: then the flow suspends, and the watch flow looks on.
    """
    interval_s, waited_s = waiting.first_interval_s, 0.0
    while isinstance(result := look(), Gate) and waited_s < waiting.in_process_s:
        clock.sleep(interval_s)
        waited_s += interval_s
        interval_s = min(interval_s * _GROWTH, waiting.longest_interval_s)
    return result
