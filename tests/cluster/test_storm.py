"""A small storm on the cluster; the large one is `make storm`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.drill import VICTIMS

REPOSITORY = Path(__file__).parents[2]
NUMBER = 8


@pytest.mark.timeout(1200)
def test_onboardings_outlive_the_loss_of_every_part(tmp_path: Path) -> None:
    """Each part is killed once while people work: all complete, with one profile and one CURRENT each, nothing spilled.

    It runs as a program of its own: Prefect reads where its server is once, when it is first imported.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.storm", "--onboardings", str(NUMBER), "--out", str(tmp_path / "out")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=1100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "storm.json").read_text())
    assert [one["what"] for one in report["killed"]] == list(VICTIMS)
    assert (report["attempts"], report["one_current_each"], report["profiles"]) == (
        {"completed": NUMBER},
        NUMBER,
        NUMBER,
    )
    assert report["secrets_spilled_to"] == []
