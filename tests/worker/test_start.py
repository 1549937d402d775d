"""`python -m keyturn.worker`: what it says when it cannot be a worker."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def started(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which has come when nobody has its output open any more: also not its fork server."""
    argv = [sys.executable, "-m", "keyturn.worker", *options]
    told = os.environ | variables
    return subprocess.run(argv, capture_output=True, text=True, env=told, timeout=60, check=False)


def test_a_setting_that_is_wrong_is_named() -> None:
    """Before anything is started, and with the code that tells whoever starts it again that this will not help."""
    ended = started("--pool", "keyturn", KEYTURN_WORKER__GRACE_S="soon")
    assert ended.returncode == 2
    assert "KEYTURN_WORKER__GRACE_S" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("option", "code"), [("--no-such-option", 2), ("--help", 0)])
def test_its_options_are_those_of_prefect(option: str, code: int) -> None:
    """Prefect says what is wrong with them, and the fork server that was on its way goes, too."""
    ended = started(option)
    assert ended.returncode == code
    assert "run-once" in ended.stdout + ended.stderr
