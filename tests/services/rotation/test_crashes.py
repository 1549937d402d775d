"""A process dies in every stage of a rotation, before its effect and after it and the next completes (acceptance 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from keyturn.domain.attempt import ROTATION_STAGES, STAGES, AttemptState, Execution, Halt, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.ports import Ledger, Work
from tests.services.rotation.turned import Turned

EFFECTS = {
    Stage.PREFLIGHT: {"pointer"},
    Stage.STAGE_SECRET: {"pointer"},
    Stage.APPLY: {"profile"},
    Stage.PROMOTE: {"pointer"},
    Stage.RETIRE: {"pointer"},
}
"""What a stage changes outside of the ledger."""


class Killed(BaseException):
    """Stands for kill -9."""


@dataclass
class DyingLedger:
    """A ledger whose process dies once in each stage.

    Attributes:
        when: `before` anything is done there, or `after` it was done and not committed.
        died: for each stage what had been changed outside of the ledger by then.
    """

    ledger: Ledger
    turned: Turned
    when: str
    died: dict[Stage, set[str]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    @contextmanager
    def exclusive(self, run: Execution) -> Iterator[Work]:
        """Hold the attempt, and perhaps not live to the commit."""
        with self.ledger.exclusive(run) as work:
            looks, writes, known = work.receipt, work.write_receipt, self._outside()

            def receipt(stage: Stage) -> Receipt | None:
                found = looks(stage)
                if found is None and self.when == "before":
                    self._die(stage, known)
                return found

            def write_receipt(stage: Stage, body: Mapping[str, object]) -> Receipt:
                written = writes(stage, body)
                if self.when == "after":
                    self._die(stage, known)
                return written

            work.receipt, work.write_receipt = receipt, write_receipt  # type: ignore[method-assign]
            yield work

    def _die(self, stage: Stage, known: Mapping[str, object]) -> None:
        if stage not in self.died:
            self.died[stage] = {name for name, now in self._outside().items() if now != known[name]}
            raise Killed

    def _outside(self) -> dict[str, object]:
        world = self.turned.world
        return {"pointer": world.pointer.revision, "profile": [p["updated_at"] for p in world.twins.profiles()]}


def go(turned: Turned) -> Gate | None:
    """Run, and again whenever the process dies; nothing is proven of a stage in which it died."""
    while True:
        try:
            return turned.run()
        except Killed:
            died = turned.world.ports.ledger.died  # type: ignore[attr-defined]
            assert list(died)[-1] not in turned.world.stages


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_every_stage(turned: Turned, when: str) -> None:
    """Two versions in Vault, one profile, the new secret in use, and the old one dead when its grace is over."""
    world = turned.world
    dying = DyingLedger(world.ports.ledger, turned, when)
    world.ports.ledger = dying  # type: ignore[assignment]
    turned.start()
    assert go(turned)
    world.approve()
    assert go(turned)
    new = turned.click()
    turned.submit(new)
    gate = go(turned)
    assert gate
    assert gate.kind is GateKind.PROOF
    turned.pass_time(hours=26)
    gate = go(turned)
    assert gate
    assert gate.kind is GateKind.GRACE
    turned.pass_time(days=5, hours=21, minutes=59)
    assert turned.works(turned.pair)
    assert go(turned)
    turned.pass_time(minutes=2)
    assert go(turned) is None
    assert not turned.works(turned.pair)
    assert dying.died == {s: EFFECTS.get(s, set()) if when == "after" else set() for s in ROTATION_STAGES}
    assert turned.attempt.state is AttemptState.COMPLETED
    assert (world.versions(), len(world.twins.profiles()), len(world.twins.accounts())) == (2, 1, 1)
    assert world.events.count("receipt.written") == len(STAGES) + len(ROTATION_STAGES)
    pointer = world.pointer
    assert (pointer.pending, pointer.previous) == (None, None)
    assert turned.secret_of(pointer.current) == new.client_secret
    assert turned.secret_of(pointer.retired) == turned.pair.client_secret
    assert world.ports.hub.list_users(str(world.twins.accounts()[0]["id"])).ok


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_rolling_back(turned: Turned, when: str) -> None:
    """The older secret is in use and in the profile all the same, and the new one is PENDING."""
    new = turned.to_proof()
    turned.pass_time(hours=26)
    turned.at(GateKind.GRACE)
    world = turned.world
    world.ports.ledger = dying = DyingLedger(world.ports.ledger, turned, when)  # type: ignore[assignment]
    turned.asking.roll_back(world.key, world.person("alice"), "customers complain")
    assert go(turned) is None
    assert dying.died == {Stage.ROLL_BACK: {"profile"} if when == "after" else set()}
    assert turned.attempt.halt is Halt.ROLLED_BACK
    pointer = world.pointer
    assert turned.secret_of(pointer.current) == turned.pair.client_secret
    assert turned.secret_of(pointer.pending) == new.client_secret
    turned.pass_time(days=7)
    assert not world.ports.hub.list_users(turned.account).ok, "the older secret in the profile is dead by now"
