"""A run of `flows.rotation.rotate` without Prefect: from stage to stage until it waits, ends or dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from keyturn.domain.attempt import AttemptKind, Execution
from keyturn.domain.gate import Gate
from keyturn.errors import KeyturnError, RollBackWantedError, SupersededError, TransientError
from keyturn.ports import RunState
from keyturn.services import decide, execution
from keyturn.services.rotation import approval, orphan
from keyturn.services.rotation.applying import Applying
from keyturn.services.rotation.preflight import Preflight
from keyturn.services.rotation.promoting import Promoting
from keyturn.services.rotation.proof import Proving
from keyturn.services.rotation.staging import Staging
from keyturn.services.rotation.turn import Turning
from keyturn.services.waiting import patiently
from keyturn.settings import WaitingSettings
from tests.fakes.crashing import Crash
from tests.fakes.ledger import FakeLedger
from tests.services.rotation.machine_world import KEY, World

ORDER = (
    "heed",
    "preflight",
    "approve",
    "gong_rotation",
    "stage_secret",
    "probe_secret",
    "apply",
    "verify",
    "promote",
    "retire",
    "conclude",
)
"""What the flow calls, in its order; a test compares it with the flow itself."""

INSTEAD = ("roll_back", "rolled_back")
"""What it calls when the older secret is wanted back."""

_DELAYS_S = (3, 20)
_WAITING = WaitingSettings(in_process_s=2.0)


class Process:
    """One run of the flow body. It moves only when it is told to, so others can act between any two of its steps."""

    def __init__(self, world: World, run: UUID) -> None:
        self._world, self._id = world, run
        self._ledger = FakeLedger(world.clock, world.rows)
        self._ports = world.ports(self._ledger)
        self._steps = self._body()
        self._run: Execution | None = None
        world.runs.states[run] = RunState.RUNNING

    def step(self) -> bool:
        """Go on to the next point where others may act; `False` when it has waited, ended or died."""
        try:
            next(self._steps)
        except (StopIteration, Crash):
            self._ledger.close()
            return False
        return True

    def finish(self) -> None:
        """Go on until it waits, ends or dies."""
        while self.step():
            pass

    def _body(self) -> Iterator[None]:
        states = self._world.runs.states
        try:
            yield from self._flow()
        except KeyturnError as error:
            self._world.heard.append(str(error))
        if states[self._id] is RunState.RUNNING:
            states[self._id] = RunState.ENDED

    def _flow(self) -> Iterator[None]:
        run = self._retried(self._begin)
        yield
        does = self._does(run)
        try:
            try:
                yield from self._through(ORDER, does)
            except RollBackWantedError:
                yield from self._through(INSTEAD, does)
        except SupersededError:
            raise
        except Exception as error:
            orphan.orphan(self._ports["ledger"], run, getattr(error, "problem", type(error).__name__))
            raise

    def _begin(self) -> Execution:
        ledger, attempt = self._ports["ledger"], self._world.carried_by(self._id)
        begun = execution.begin(ledger, str(KEY), str(attempt), self._id, AttemptKind.ROTATION)
        ledger.hold(begun)
        return begun

    def _through(self, stages: tuple[str, ...], does: dict[str, Callable[[], Any]]) -> Iterator[None]:
        for stage in stages:
            result = self._retried(does[stage])
            yield
            if isinstance(result, Gate):
                self._world.runs.states[self._id] = RunState.SUSPENDED
                self._catch_up(result)
                return

    def _does(self, run: Execution) -> dict[str, Callable[[], Any]]:
        p, clock = self._ports, self._world.clock
        ledger, secrets, gong, hub, writers = (p[n] for n in ("ledger", "secrets", "gong", "hub", "writers"))
        preflight = Preflight(ledger, secrets, gong, hub, writers, self._world.channels, p["outbox"], clock)
        applying = Applying(ledger, secrets, gong, hub, writers, clock)
        staging, promoting = Staging(ledger, secrets, gong), Promoting(ledger, secrets, gong, clock)
        proving = Proving(ledger, hub, clock)
        return {
            "heed": lambda: orphan.heed(ledger, run),
            "preflight": lambda: preflight.check(run),
            "approve": lambda: approval.ask_approval(ledger, clock, run),
            "gong_rotation": lambda: Turning(ledger, secrets, clock).ask(run),
            "stage_secret": lambda: staging.stage(run),
            "probe_secret": lambda: staging.probe(run),
            "apply": lambda: patiently(lambda: applying.apply(run), clock, _WAITING),
            "verify": lambda: patiently(lambda: proving.verify(run), clock, _WAITING),
            "promote": lambda: promoting.promote(run),
            "retire": lambda: promoting.retire(run),
            "conclude": lambda: promoting.conclude(run),
            "roll_back": lambda: patiently(lambda: applying.roll_back(run), clock, _WAITING),
            "rolled_back": lambda: orphan.rolled_back(ledger, run),
        }

    def _retried(self, step: Callable[[], Any]) -> Any:
        """Try again as Prefect does: only what may pass by itself, and not for ever."""
        for delay_s in _DELAYS_S:
            try:
                return step()
            except TransientError as error:
                self._world.heard.append(str(error))
            self._world.clock.move(seconds=delay_s)
        return step()

    def _catch_up(self, gate: Gate) -> None:
        ledger = self._ports["ledger"]
        with suppress(KeyturnError):
            for decided in [g for g in ledger.owed_resumes() if g.id == gate.id]:
                decide.pass_on(ledger, self._world.runs, decided)
