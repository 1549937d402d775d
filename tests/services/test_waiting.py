"""Waiting in the process, before the run gives its worker back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn.domain.attempt import Receipt, Stage
from keyturn.domain.gate import Gate
from keyturn.services.waiting import patiently
from keyturn.settings import WaitingSettings
from tests.fakes.clock import FakeClock
from tests.services.world import World

WAITING = WaitingSettings(in_process_s=20, first_interval_s=2, longest_interval_s=5)


def test_consent_in_the_meantime(world: World, clock: FakeClock) -> None:
    """A consent that is given while the run waits is seen without a suspension."""
    world.to_consent()
    link, looks = world.link(), iter([False, False, True])

    def look() -> Receipt | Gate:
        if next(looks):
            world.consent(link)
        result = world.stage(Stage.LINK_ACCOUNT, world.last)
        assert isinstance(result, Receipt | Gate)
        return result

    assert isinstance(patiently(look, clock, WAITING), Receipt)
    assert clock.slept == [2, 3]


def test_nobody_comes(world: World, clock: FakeClock) -> None:
    """After its time the run is told of the gate that is still open; intervals grow up to the longest."""
    gate = world.to_consent()
    assert patiently(lambda: gate, clock, WAITING) == gate
    assert clock.slept == [2, 3, 4.5, 5, 5, 5]


@pytest.mark.parametrize("given", [True, False])
def test_no_patience(world: World, clock: FakeClock, given: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    """With no time to wait there is one look."""
    gate = world.to_approval()
    looked: Iterator[Receipt | Gate] = iter([world.receipt(Stage.REGISTER) if given else gate])
    none = WaitingSettings(in_process_s=0)
    assert isinstance(patiently(lambda: next(looked), clock, none), Receipt if given else Gate)
    assert clock.slept == []
