"""An example fleet for the sandbox: 25 integrations in every state, each with a past.

Nothing is made up in the ledger: every journey is played by keyturn's own services, with the ledger and the Vault of
the sandbox, months ago, on the files that the twins of Gong and StackOne take up when they start (`fleet_past`). So
what the watch finds later agrees with what is shown, today and in an hour; a person may go on with any of it; and time
moves it on like everything else: a grace ends, a proof becomes due.

Attempts that wait have a Prefect run each, suspended from the start, made as soon as the deployments are there. So the
watch finds nothing lost and starts nothing; whoever answers a question wakes that one run. Two rotations are halted,
which keeps the sweep from starting the one that is overdue, until somebody has resolved both.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx

from keyturn.domain.attempt import Attempt, AttemptKind
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.sandbox import fleet_manifests
from keyturn.sandbox.console import manifests_of
from keyturn.sandbox.files import write_private
from keyturn.sandbox.fleet_past import Past
from keyturn.sandbox.fleet_stories import FLEET
from keyturn.sandbox.fleet_story import Story
from keyturn.sandbox.fleet_vendors import PastVendors
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.postgres import Postgres
from keyturn.sandbox.prefect import PrefectServer, suspended_run

Telling = Iterator[timedelta]

_DEPLOYMENTS = {AttemptKind.ONBOARDING: "onboard/onboard", AttemptKind.ROTATION: "rotate/rotate"}

_KEPT = "fleet.json"
_ROUNDS = (120, 48, 24, 6, 1, 0.1)
"""When the watch looked at everything, in hours before now."""
_DAYS = 29


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet, played.

    Attributes:
        waiting: the attempts that a run should carry.
    """

    past: Past
    waiting: tuple[Attempt, ...]

    def bind(self, prefect: PrefectServer) -> None:
        """Give each attempt that waits its suspended run.

        Raises:
            UnavailableError: Prefect does not answer as it should.
        """
        ledger = self.past.ports.ledger
        try:
            with httpx.Client(trust_env=False, timeout=30) as client:
                for attempt in self.waiting:
                    about = {"key": str(attempt.key), "attempt": str(attempt.id)}
                    run = suspended_run(client, prefect.api_url, _DEPLOYMENTS[attempt.kind], about)
                    ledger.bind_run(attempt.id, UUID(run))
        except httpx.HTTPError as error:
            problem = f"takes no runs for the example fleet ({type(error).__name__})"
            raise UnavailableError("Prefect", problem, f"See {prefect.child.log}.") from None
        finally:
            ledger.close()


def is_wanted(state: Path) -> bool:
    """Whether there is a past to be played: only in a folder where no sandbox was ever started.

    Raises:
        ConfigurationError: a start before this one was interrupted while it played.
    """
    kept = state / _KEPT
    if kept.exists() and not json.loads(kept.read_text())["played"]:
        problem = "holds half of an example fleet: its first start was interrupted"
        raise ConfigurationError(str(state), problem, "Remove that folder, and start anew.")
    return not kept.exists() and not (state / "gong.json").exists()


def play(state: Path, postgres: Postgres, openbao: OpenBao) -> Fleet:
    """Play all stories on a migrated ledger and a Vault that is set up; the twins must not run yet."""
    write_private(state / _KEPT, json.dumps({"played": False}))
    now, folder = datetime.now(UTC), manifests_of(state)
    sealed = fleet_manifests.write(folder, [example.wanted for example in FLEET])
    past = Past.of(postgres, openbao, PastVendors.of(state), folder, now)
    tellings = [example.tell(Story(past, sealed[example.key])) for example in FLEET]
    _play([*map(_shifted, tellings, range(len(tellings))), _rounds(past), _days(past)], past, now)
    played = Fleet(past, tuple(attempt for attempt in past.ports.ledger.active() if attempt.moves))
    past.leave()
    write_private(state / _KEPT, json.dumps({"played": True}))
    return played


def _play(tellings: list[Telling], past: Past, now: datetime) -> None:
    """Take the steps of all stories in the order of time."""
    due = [(-first, number) for number, telling in enumerate(tellings) if (first := next(telling, None)) is not None]
    heapq.heapify(due)
    while due:
        before, number = heapq.heappop(due)
        past.stand_at(now + before)
        following = next(tellings[number], None)
        if following is not None:
            heapq.heappush(due, (-following, number))


def _shifted(telling: Telling, number: int) -> Telling:
    """The same story some minutes earlier, so that not everything happens at one minute of the hour."""
    for before in telling:
        yield before + timedelta(minutes=number * 13 % 50)


def _rounds(past: Past) -> Telling:
    """The watch's rounds over the fleet's health."""
    for hours in _ROUNDS:
        yield timedelta(hours=hours)
        past.look_at([example.key for example in FLEET])


def _days(past: Past) -> Telling:
    """The pictures of the fleet, counted once on each of the last days."""
    for days in range(_DAYS, 0, -1):
        yield timedelta(days=days)
        past.ports.fleet.pictures()
