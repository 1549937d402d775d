from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyturn.clients.budget import PATIENCE_S, Budget
from keyturn.clients.clock import ShiftedClock, SystemClock
from keyturn.errors import ConfigurationError
from keyturn.settings import Settings, StackOneSettings
from keyturn.wiring import Ports

WEEK = timedelta(days=7)


class Counting(ShiftedClock):
    """A clock of the sandbox, remembering what was slept; real sleep would only make the test slow."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        """Have the system's time, and so this clock's, move on as if one had slept."""
        self.slept += seconds
        move(self._file, self.offset() + timedelta(seconds=seconds))


def move(file: Path, offset: timedelta) -> None:
    """Write what the sandbox writes."""
    file.write_text(json.dumps({"offset_seconds": offset.total_seconds()}))


def ahead(clock: ShiftedClock) -> timedelta:
    """How far a clock is ahead of the system's, to the minute."""
    return timedelta(minutes=round((clock.now() - datetime.now(UTC)) / timedelta(minutes=1)))


def test_without_a_file_it_is_the_systems_time(tmp_path: Path) -> None:
    """A sandbox whose time was never moved has the time of everybody else, in UTC."""
    before = SystemClock().now()
    now = ShiftedClock(tmp_path / "clock.json").now()
    assert before <= now <= SystemClock().now()
    assert now.utcoffset() == timedelta(0)


def test_it_follows_the_file_each_time_it_is_asked(tmp_path: Path) -> None:
    """A process that runs on sees the time being moved, forward again and again."""
    clock = ShiftedClock(tmp_path / "clock.json")
    assert ahead(clock) == timedelta(0)
    move(tmp_path / "clock.json", WEEK)
    assert ahead(clock) == WEEK
    move(tmp_path / "clock.json", WEEK + timedelta(hours=36))
    assert ahead(clock) == WEEK + timedelta(hours=36)


@pytest.mark.parametrize("gone", [True, False], ids=["file removed", "smaller offset"])
def test_it_never_goes_back(tmp_path: Path, *, gone: bool) -> None:
    """What a process has once lived through stays past for it, and its time moves on all the same."""
    file = tmp_path / "clock.json"
    move(file, WEEK)
    clock = ShiftedClock(file)
    first = clock.now()
    if gone:
        file.unlink()
    else:
        move(file, timedelta(hours=1))
    second = clock.now()
    assert first < second < clock.now()


def test_time_moves_on_between_two_moves(tmp_path: Path) -> None:
    """The offset is added to a time that runs, and sleeping really sleeps."""
    move(tmp_path / "clock.json", WEEK)
    clock = ShiftedClock(tmp_path / "clock.json")
    began, really = clock.now(), time.monotonic()
    clock.sleep(0.05)
    assert time.monotonic() - really >= 0.05
    assert timedelta(seconds=0.05) <= clock.now() - began < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["", "soon", "[]", "{}", '{"offset_seconds": "a week"}', '{"offset_seconds": 1e999}'])
def test_what_is_no_clock_is_said(tmp_path: Path, text: str) -> None:
    """A file that says something else is a fault of the configuration, named with its remedy."""
    (tmp_path / "clock.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"clock\.json: is not the clock of a sandbox.+KEYTURN_SANDBOX_CLOCK"):
        ShiftedClock(tmp_path / "clock.json").now()


def test_the_setting_chooses(tmp_path: Path) -> None:
    """Only where the setting names a file can time be moved."""
    assert isinstance(Ports(Settings()).clock, SystemClock)
    move(tmp_path / "clock.json", WEEK)
    moved = Ports(Settings(sandbox_clock=tmp_path / "clock.json")).clock
    assert isinstance(moved, ShiftedClock)
    assert ahead(moved) == WEEK


def test_a_budget_waits_no_longer_because_time_was_moved(tmp_path: Path) -> None:
    """A pause that a vendor asked for ends early when time is moved on, and takes its own length when it is not."""
    file = tmp_path / "clock.json"
    clock = Counting(file)
    budget = Budget.stackone(StackOneSettings(), clock)
    budget.pause(30)
    move(file, WEEK)
    budget.acquire()
    assert clock.slept == 0
    budget.pause(30)
    budget.acquire()
    assert 29 < clock.slept < 31


def test_a_budget_waits_for_seconds_even_if_the_clock_file_goes_back(tmp_path: Path) -> None:
    """A sandbox begun anew does not leave a running process waiting for last week."""
    file = tmp_path / "clock.json"
    move(file, WEEK)
    clock = ShiftedClock(file)
    budget = Budget.stackone(StackOneSettings(), clock)
    budget.pause(0.05)
    file.unlink()
    began = time.monotonic()
    budget.acquire()
    assert 0.04 <= time.monotonic() - began < PATIENCE_S / 10
