from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from keyturn.cli.app import app

HEAVY = {"prefect", "sqlalchemy", "alembic", "psycopg", "httpx", "authlib", "hvac", "requests", "PIL", "ruamel"}
WHAT_IT_IMPORTED = """\
import json, sys
from keyturn.cli import main
try:
    main()
finally:
    json.dump(sorted({name.partition(".")[0] for name in sys.modules}), sys.stderr)
"""
ALWAYS_JSON = "schema"


def commands(group: Any, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command under a group: its words, and what typer made of it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *above, name)
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield (*above, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def imported_by_help(*words: str) -> set[str]:
    """Ask for help in a new process; gives the packages that were loaded on the way."""
    argv = [sys.executable, "-c", WHAT_IT_IMPORTED, *words, "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
    return set(json.loads(done.stderr))


def test_help_loads_nothing_slow() -> None:
    """`keyturn --help` answers at once: of all that keyturn is built on, it loads typer and rich."""
    assert imported_by_help() & (HEAVY | {"pydantic"}) == set()


@pytest.mark.parametrize("words", [("db",), *COMMANDS], ids=" ".join)
def test_help_on_a_command_loads_nothing_slow(words: tuple[str, ...]) -> None:
    """The same for every command, but for pydantic, with which typer reads parameters."""
    assert imported_by_help(*words) & HEAVY == set()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_parameter_explains_itself(words: tuple[str, ...]) -> None:
    """None is without help."""
    assert COMMANDS[words].help
    assert not [parameter.name for parameter in COMMANDS[words].params if not parameter.help]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_can_print_json(words: tuple[str, ...]) -> None:
    """All have `--json`; only `schema` prints nothing else anyway."""
    has_it = any("--json" in parameter.opts for parameter in COMMANDS[words].params)
    assert has_it or words == (ALWAYS_JSON,)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_parameter_takes_a_secret(words: tuple[str, ...]) -> None:
    """What is on a command line is seen by every process of the machine, so values there are never secret."""
    values = {p.name for p in COMMANDS[words].params if not getattr(p, "is_flag", False)}
    ours = {"key", "keys", "state", "out", "digest", "note", "reason", "revision", "channel", "duration"}
    ours |= {"at_once", "newer_than"}
    assert values <= ours | {"attempt", "file", "clicked_at", "grace_hours", "host", "port", "person"}


def test_submit_has_no_room_for_a_secret(command: Any) -> None:
    """A secret put behind the key by mistake is refused, before anything is read or asked."""
    done = command("submit", "acme/production", "an-id", "a-secret")
    assert done.returncode == 2
    assert "extra argument" in done.stderr
    assert done.stdout == ""


def test_nothing_said_is_a_question_for_help(command: Any) -> None:
    """The bare command explains itself, and is a mistake in usage."""
    done = command()
    assert (done.returncode, "Usage:" in done.stdout + done.stderr) == (2, True)
