"""What an integration costs does not grow with the fleet. Requests are counted, and nothing is timed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.cost_per_integration import MEASURED, MOST_RATIO, Measured, cost
from benchmarks.suspended import held

FEW, MANY = 10, 300


@pytest.mark.parametrize("measured", MEASURED, ids=lambda measured: measured.name)
def test_it_is_flat(new_database: Callable[[str], str], migrated: str, measured: Measured) -> None:
    """Each needs hardly more statements and requests, whoever is asked, among 300 than among 10."""
    few, many = (cost(new_database(migrated), size, measured) for size in (FEW, MANY))
    assert few, "something is asked"
    assert many.keys() == few.keys()
    assert {whom: each for whom, each in many.items() if each > MOST_RATIO * few[whom]} == {}


@pytest.mark.parametrize("name", ["sweep", "remind, first time", "gates and runs"])
def test_a_round_over_the_fleet_takes_a_few_statements(
    new_database: Callable[[str], str], migrated: str, name: str
) -> None:
    """What looks at all of the fleet asks about all at once: far less than one statement, or request, for each."""
    (measured,) = [each for each in MEASURED if each.name == name]
    asked = cost(new_database(migrated), MANY, measured)
    assert max(asked.values()) < 0.2, asked


def test_attempts_that_wait_hold_nothing(new_database: Callable[[str], str], migrated: str) -> None:
    """After a round over a thousand suspended attempts there is no more process, thread or memory than before it.

    And however many there are, a round takes on no more of them to be checked than the settings say.
    """
    found = held(new_database(migrated), 1_000, claim=50)
    assert (found.processes, found.threads, found.claimed) == (0, 0, 50)
    assert found.memory_mib < 1, "less than a kilobyte for each"
    assert found.peak_mib > found.memory_mib, "it was read, and let go"
