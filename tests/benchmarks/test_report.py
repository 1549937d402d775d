"""The report: what is merged, what is shown, and what a part that fails does to it."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from benchmarks import part, report

MACHINE = {"cores": 2, "processor": "a processor", "memory_gib": 8.0, "system": "a system", "load_before": 0.1}


def entry(**more: Any) -> dict[str, Any]:
    """A part's entry."""
    where = {"at": "2026-11-27T00:00:00+00:00", "seconds": 12.0, "machine": MACHINE, "versions": {"python": "3.11"}}
    return {"quick": False, **where, **more}


def good(**goals: Any) -> dict[str, Any]:
    """The entry of a part that found something."""
    return entry(figures={}, goals=goals, markdown="| what it found |")


def test_new_entries_take_the_place_of_older_ones_and_the_others_stay() -> None:
    """A part that is run alone changes nothing of the others, and parts keep their order."""
    known = {"parts": {"start": good(), "memory": entry(failed="fell over")}}
    merged = report.merged(known, {"memory": good(), "decision": good()})
    assert list(merged["parts"]) == ["decision", "start", "memory"]
    assert "failed" not in merged["parts"]["memory"]
    assert merged["parts"]["start"] is known["parts"]["start"]


def test_a_goal_that_was_missed_is_shown_as_missed() -> None:
    """Bound, figure and verdict stand side by side, whatever the verdict."""
    results = {
        "parts": {
            "decision": good(
                p95_s={"found": 1.4, "at_most": 1.0, "met": False},
                times_faster={"found": 6.0, "at_least": 5.0, "met": True},
                unseen={"found": None, "below": 60, "met": None},
            )
        }
    }
    told = report.goals_table(results)
    assert "| p95 s | decision | at most 1.0 | 1.4 | **no** |" in told
    assert "| times faster | decision | at least 5.0 | 6.0 | yes |" in told
    assert "| unseen | decision | below 60 | None | not measured |" in told


def test_a_failed_part_is_in_the_report_and_the_others_are_too() -> None:
    """It says why, among the goals and in its own place."""
    told = report.rendered({"parts": {"decision": good(), "memory": entry(failed="TimeoutError: nothing came")}})
    assert "| that it runs | memory |  | TimeoutError: nothing came | **no** |" in told
    assert "**Failed**: TimeoutError: nothing came" in told
    assert "| what it found |" in told
    assert "2 cores of a processor, 8.0 GiB, a system; python 3.11" in told


def test_a_quick_run_says_that_it_was_one() -> None:
    """Its figures are no measurement."""
    assert "A quick run" in report.rendered({"parts": {"start": good() | {"quick": True}}})


def test_a_part_that_cannot_even_be_imported_fails_alone() -> None:
    """The process of the part is real; what went wrong comes back as words."""
    found = part.measured("benchmarks.no_such_part", quick=False)
    assert found == {"failed": "ModuleNotFoundError: No module named 'benchmarks.no_such_part'"}


def test_every_part_can_be_imported_and_has_what_the_report_asks_of_it() -> None:
    """A program that is renamed or rots is seen here, and not on the day of the figures."""
    for module, _ in report.PARTS.values():
        found = importlib.import_module(module)
        assert callable(found.figures)
        assert callable(getattr(found, "shown", None) or found.markdown)


def test_goals_are_found_wherever_they_stand() -> None:
    """In `goals`, in rows of a list by what tells them apart, and not where a row has no goal."""
    found = {
        "goals": {"idle": {"found": 100, "below": 250, "met": True}},
        "fleet": [
            {"bound": "limit", "processes": 4, "ratio": 0.97, "goal": 0.95, "met": True},
            {"bound": "threads", "processes": 1, "ratio": 0.5, "goal": None, "met": None},
        ],
    }
    goals = dict(part.goals_in(found))
    assert set(goals) == {"idle", "limit, 4"}
    assert goals["limit, 4"] | {"at_least": 0.95, "found": 0.97} == goals["limit, 4"]


def test_the_readme_gets_the_table_between_its_markers_and_nothing_else_changes() -> None:
    """The older table goes; a README without markers is refused."""
    results = {"parts": {"decision": good()}}
    before = f"intro\n{report.BEGIN}\nold\n{report.END}\nrest\n"
    after = report.in_readme(before, results)
    assert after.startswith(f"intro\n{report.BEGIN}\n")
    assert after.endswith(f"{report.END}\nrest\n")
    assert "old" not in after
    assert "| what it found |" in after
    assert report.in_readme(after, results) == after
    with pytest.raises(ValueError, match="README"):
        report.in_readme("no markers", results)
