from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PLANTED = """\
import sys
from keyturn.cli import app as cli

@cli.app.command()
def surprise():
    client_secret = "planted" + "-secret"
    raise LookupError("nobody thought of this")

sys.argv[1:] = ["surprise"]
cli.main()
"""


def test_all_faults_of_the_settings_are_told_at_once(command: Any) -> None:
    """Each with the variable's name and none with its value, and with exit code 2."""
    wrong = {
        "KEYTURN_LEDGER__URL": "mysql://root:hidden-word@db/x",
        "KEYTURN_VAULT__ADDR": "http://vault.example:8200",
        "KEYTURN_VAULT__AUTH": "by-handshake",
        "KEYTURN_STACKONE__LINK_EXPIRES_S": "soon",
        "KEYTURN_GONG__PROOF": "true",
    }
    done = command("doctor", **wrong)
    assert done.returncode == 2
    assert not [name for name in wrong if name not in done.stderr]
    assert "5 to correct" in done.stderr
    assert "Did you mean KEYTURN_GONG__PROBE?" in done.stderr
    assert not [value for value in wrong.values() if value in done.stderr and value != "true"]
    failure = command.having(**wrong).json("lint", code=2)
    assert (failure["error"], failure["subject"]) == ("ConfigurationError", "settings")


@pytest.mark.parametrize(
    ("words", "variable"),
    [
        (("status",), "KEYTURN_LEDGER__URL"),
        (("db", "status"), "KEYTURN_LEDGER__URL"),
        (("gates",), "KEYTURN_LEDGER__URL"),
        (("plan", "acme/sandbox"), "KEYTURN_STACKONE__API_KEY"),
    ],
)
def test_a_missing_setting_is_named(lost: Any, words: tuple[str, ...], variable: str) -> None:
    """It is a matter of configuration, with what to set it to."""
    failure = lost.having(**{variable: ""}).json(*words, code=2)
    assert failure["subject"] == variable
    assert failure["remedy"]


def test_a_plan_can_be_read_without_any_server(lost: Any) -> None:
    """The kit is there all the same, and whatever could not be asked is called unknown, with or without settings."""
    for command in (lost, lost.having(KEYTURN_LEDGER__URL="", KEYTURN_VAULT__TOKEN="")):
        plan = command.json("plan", "acme/production")
        assert plan["kit"]["steps"]
        assert {fact["known"] for fact in plan["found"]} == {False}


@pytest.mark.parametrize(
    "words", [("plane",), ("status", "--jsn"), ("onboard",), ("db",), ("demo", "too", "many")], ids=" ".join
)
def test_a_mistake_in_the_command_line_has_exit_code_2(command: Any, words: tuple[str, ...]) -> None:
    """Unknown commands and options, and missing and superfluous arguments, are told on standard error or by help."""
    assert command(*words).returncode == 2


def test_something_that_is_no_key_has_exit_code_2(lost: Any) -> None:
    """The sentence says what a key looks like."""
    for command in ("status", "gates", "plan"):
        failure = lost.json(command, "acme", code=2)
        assert (failure["subject"], "tenant/environment" in str(failure)) == ("acme", True)


@pytest.mark.parametrize(
    ("words", "who"),
    [
        (("status",), "ledger 127.0.0.1"),
        (("gates",), "ledger 127.0.0.1"),
        (("db", "status"), "ledger 127.0.0.1"),
        (("db", "upgrade"), "ledger 127.0.0.1"),
        (("onboard", "acme/production"), "Vault at http://127.0.0.1:1"),
        (("reject", "acme/production", "--reason", "no"), "Vault at http://127.0.0.1:1"),
        (("plan", "acme/sandbox"), "ledger 127.0.0.1"),  # which gives out the calls to StackOne
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_does_not_answer_has_exit_code_3(lost: Any, words: tuple[str, ...], who: str) -> None:
    """The sentence names the server without its password, and what to do."""
    failure = lost.json(*words, code=3)
    assert failure["error"] == "UnavailableError"
    assert who.lower() in failure["subject"].lower()
    assert failure["remedy"]


def test_without_a_ledger_the_vendor_is_named(lost: Any) -> None:
    """A machine that has no ledger asks StackOne for the scopes of actions, and names it when it does not answer."""
    failure = lost.having(KEYTURN_LEDGER__URL="").json("plan", "acme/sandbox", code=3)
    assert "StackOne" in failure["subject"]
    assert failure["remedy"]
    assert "hidden-word" not in str(failure)


def test_a_failure_is_told_in_words_to_people(lost: Any) -> None:
    """Without `--json`: one sentence and what to do next, on standard error alone."""
    done = lost("status")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("ledger 127.0.0.1:1/keyturn: cannot be reached")
    assert "\n→ " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_surprise_shows_no_local_variables(tmp_path: Path) -> None:
    """A fault of keyturn's own leaves a traceback to report, with places and without values."""
    done = subprocess.run([sys.executable, "-c", PLANTED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "LookupError: nobody thought of this" in done.stderr
    assert "planted-secret" not in done.stderr + done.stdout
