"""The benchmark of decisions runs, on the warm worker: a journey to its end, one kill, and a few decisions at once."""

from __future__ import annotations

import pytest

from benchmarks.decisions import Sizes, figures, shown
from keyturn.sandbox.prefect import WARM

FEW = Sizes(journeys=1, slow_journeys=0, decisions=2, at_once=2, kills=1, peers=False)


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_decisions_on_the_warm_worker_lead_to_the_next_stage_and_none_is_lost() -> None:
    """Every journey goes on after its decision, also when the worker was killed before it, and a table says so."""
    found = figures(FEW, seed=7)
    warm = found["systems"][WARM]
    assert (warm["approve"]["n"], warm["gong_admin"]["n"], warm["journeys_finished"]) == (1, 1, 1)
    assert (found["thousand"]["n"], found["after_kill"][WARM]["n"]) == (2, 1)
    assert found["goals"]["decisions_lost"] == {"found": 0, "at_most": 0, "met": True}
    assert found["after_kill"][WARM]["lost"] == 0
    assert warm["approve"]["median_s"] > 0
    assert found["memory"][WARM]["idle_worker_pss_mib"] > found["memory"][WARM]["run_uss_mib"] > 0
    assert f"| {warm['name']} | approval | 1 |" in shown(found)
