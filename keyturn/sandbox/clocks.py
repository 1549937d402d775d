"""Time in a sandbox: keyturn's clock and those of both twins, moved on together.

PostgreSQL, OpenBao and Prefect stay on the system's time: no deadline of an integration is theirs.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import httpx

from keyturn.clients.clock import ShiftedClock
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.sandbox.files import write_private
from keyturn.sandbox.prefect import run_now

_TWINS = ("gong", "stackone")
_WATCH = "watch/watch"


def clock_file(state: Path) -> Path:
    """Where the sandbox of that folder keeps keyturn's offset: what KEYTURN_SANDBOX_CLOCK has to be."""
    return state / "clock.json"


def advance(state: Path, by: timedelta) -> timedelta:
    """Move a running sandbox's time on, and have the watch look at once.

    All clocks are brought to one offset, keyturn's last, so a call that failed half-way can be repeated.

    Returns:
        How far the sandbox is ahead of the system's time now.

    Raises:
        ConfigurationError: there has never been a sandbox in that folder.
        UnavailableError: one of its servers does not answer.
    """
    ports, file = _ports(state), clock_file(state)
    prefect = f"http://127.0.0.1:{ports['prefect']}/api"
    offset = ShiftedClock(file).offset() + by
    try:
        with httpx.Client(trust_env=False, timeout=30) as client:
            client.get(f"{prefect}/health").raise_for_status()  # before anything is moved
            for twin in _TWINS:
                _bring(client, f"http://127.0.0.1:{ports[twin]}/_twin/clock", offset)
            write_private(file, json.dumps({"offset_seconds": offset.total_seconds()}))
            run_now(client, prefect, _WATCH)
    except httpx.HTTPError as error:
        problem = f"a server does not answer as it should ({type(error).__name__})"
        raise UnavailableError(str(state), problem, "Start it with `keyturn sandbox`, and look at its logs.") from None
    return offset


def _bring(client: httpx.Client, clock: str, offset: timedelta) -> None:
    """Move a twin's clock, never back: that would bring dead secrets to life."""
    answer = client.get(clock).raise_for_status()
    missing = offset.total_seconds() - float(answer.json()["offset_seconds"])
    client.post(clock, json={"advance_seconds": max(missing, 0.0)}).raise_for_status()


def _ports(state: Path) -> dict[str, int]:
    try:
        known: dict[str, int] = json.loads((state / "ports.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "Name the folder of a running one with --state."
        raise ConfigurationError(str(state), "there is no sandbox in that folder", remedy) from None
    return known
