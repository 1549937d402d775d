"""Requests to vendors are counted by whoever makes them, in one place, and nothing fails for it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select, text

from keyturn.domain.gauges import CallOutcome
from keyturn.ledger.engine import make_engine
from keyturn.ledger.tables import vendor_calls
from keyturn.ledger.tally import EVERY_S, PostgresTally
from tests.fakes.clock import FakeClock

OK, LOST = CallOutcome.OK, CallOutcome.LOST


class Time:
    """A clock that never goes back, moved by a test."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Now."""
        return self.seconds


@pytest.fixture
def now() -> Time:
    """This test's time."""
    return Time()


@pytest.fixture
def tally(engine: Engine, clock: FakeClock, now: Time) -> PostgresTally:
    """The tally of a process."""
    return PostgresTally(lambda: engine, clock, now=now)


def written(engine: Engine) -> dict[str, int]:
    """What is in the ledger, as `vendor outcome`."""
    columns = vendor_calls.c.vendor, vendor_calls.c.outcome, vendor_calls.c["count"]
    with engine.connect() as connection:
        return {f"{vendor} {outcome}": count for vendor, outcome, count in connection.execute(select(*columns))}


def test_written_at_once_then_now_and_then(tally: PostgresTally, now: Time, engine: Engine) -> None:
    """The first request is written at once, later ones when five seconds are over: no request waits for each."""
    tally.count("gong", OK)
    assert written(engine) == {"gong ok": 1}
    for _ in range(3):
        tally.count("gong", OK)
    tally.count("stackone", LOST)
    assert written(engine) == {"gong ok": 1}
    now.seconds += EVERY_S
    tally.count("gong", OK)
    assert written(engine) == {"gong ok": 5, "stackone lost": 1}


def test_what_is_left_is_flushed_once(tally: PostgresTally, engine: Engine) -> None:
    """At the end the rest is written, and a second time there is nothing left to add."""
    for _ in range(4):
        tally.count("gong", OK)
    tally.flush()
    tally.flush()
    assert written(engine) == {"gong ok": 4}


def test_processes_add_up(engine: Engine, clock: FakeClock, threads: ThreadPoolExecutor) -> None:
    """Eight processes with threads of their own lose none of each other's counts."""
    tallies = [PostgresTally(lambda: engine, clock) for _ in range(8)]

    def work(tally: PostgresTally) -> None:
        for _ in range(50):
            tally.count("gong", OK)
            tally.count("stackone", LOST)
        tally.flush()

    list(threads.map(work, [*tallies, *tallies]))
    for tally in tallies:  # two threads shared each: one may have written while the other one counted
        tally.flush()
    assert written(engine) == {"gong ok": 800, "stackone lost": 800}


def test_a_ledger_that_is_away_fails_nothing(
    clock: FakeClock, now: Time, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """While the ledger is away counting goes on, the log says so, and it is all written afterwards."""
    caplog.set_level("INFO")
    away = make_engine("postgresql://nobody@127.0.0.1:1/keyturn?connect_timeout=1")
    engines = [away, away, engine]
    tally = PostgresTally(lambda: engines.pop(0), clock, now=now)
    tally.count("gong", OK)
    now.seconds += EVERY_S
    tally.count("gong", OK)
    assert "cannot be counted now" in caplog.text
    now.seconds += EVERY_S
    tally.count("gong", OK)
    assert written(engine) == {"gong ok": 3}
    away.dispose()


def test_an_older_ledger_fails_nothing(tally: PostgresTally, engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor does one whose migrations are pending; and whoever runs a command is told nothing of it."""
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE vendor_calls"))
    tally.count("gong", OK)
    assert "".join(capfd.readouterr()) == ""


def test_a_process_writes_the_rest_when_it_ends(url: str, engine: Engine) -> None:
    """A process that was wired as usual has nothing to do for it; its requests all count."""
    program = (
        "import os\n"
        "from keyturn import settings, wiring\n"
        "from keyturn.domain.gauges import CallOutcome\n"
        "tally = wiring.Ports(settings.load(os.environ)).tally\n"
        "for _ in range(3): tally.count('gong', CallOutcome.OK)\n"
    )
    environment = {"KEYTURN_LEDGER__URL": url, "PATH": "/usr/bin"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert written(engine) == {"gong ok": 3}
