"""Whatever the operators' guide tells somebody to run, set or read exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer
from cyclopts import CycloptsError
from prefect.cli._app import _app as prefect
from prefect.settings.legacy import _get_valid_setting_names
from prefect.settings.models.root import Settings as PrefectSettings
from typer.core import TyperGroup

from keyturn import settings
from keyturn.cli.app import app
from keyturn.cli.options import KeyOrCommand

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CODE = "\n".join([
    *re.findall(r"^ *```\w*\n(.*?)^ *```", GUIDE, flags=re.MULTILINE | re.DOTALL),
    *re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", GUIDE, flags=re.MULTILINE | re.DOTALL)),
])  # fmt: skip


def is_command(words: list[str]) -> bool:
    """Whether these words lead to a command, and every option among them is one of its own."""
    at: Any = typer.main.get_command(app)
    while words and words[0] in getattr(at, "commands", {}):
        at, words = at.commands[words[0]], words[1:]
    if words and isinstance(at, TyperGroup) and not isinstance(at, KeyOrCommand):
        return False
    if hasattr(at, "commands"):  # its first command may be left out: `keyturn rotate KEY`
        at = next(iter(at.commands.values()))
    options = {option for p in at.params for option in p.opts if option.startswith("-")}
    takes_words = any(p.param_type_name == "argument" for p in at.params)
    given = [word for word in words if not word.startswith("-")]
    return {word for word in words if word.startswith("-")} <= options and (takes_words or not given)


def test_every_command_exists_with_its_options() -> None:
    """`keyturn …` down to the last option."""
    named = re.findall(r"^keyturn ([^\n&|]+)$", CODE, flags=re.MULTILINE)
    assert len(named) > 10
    assert [words for words in named if not is_command(words.split())] == []
    assert not is_command(["db", "restored", "--quietly"])
    assert not is_command(["docter"])


def test_every_command_that_deployments_name_exists() -> None:
    """In what is said about them, and in the examples of settings."""
    files = [*(ROOT / "deployments").rglob("README.md"), ROOT / "deployments" / "compose" / ".env.example"]
    told = "\n".join(file.read_text(encoding="utf-8") for file in files)
    named = re.findall(r"(?:`|exec \S+ (?:-- )?)keyturn ([a-z][^`\n]*)", told)
    assert len(named) > 5
    assert [words for words in named if not is_command(words.split())] == []


def test_every_command_of_prefect_exists_with_its_options() -> None:
    """As Prefect itself takes its command line apart."""
    readme = (ROOT / "deployments" / "prefect" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^prefect ([^\n&|]+)$", f"{CODE}\n{readme}", flags=re.MULTILINE)
    assert len(named) > 8
    for words in named:
        understood = [str(UUID(int=1)) if word == "ID" else word for word in shlex.split(words)]
        prefect.parse_args(understood, exit_on_error=False, print_error=False)
    with pytest.raises(CycloptsError):
        prefect.parse_args(["global-concurrency-limit", "reset"], exit_on_error=False, print_error=False)


def test_every_verb_exists() -> None:
    """`make …` is a target."""
    named = set(re.findall(r"\bmake ([a-z-]+)\b", CODE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named
    assert named <= targets


def test_every_setting_exists() -> None:
    """Those of keyturn and those of Prefect."""
    ours = set(re.findall(r"\bKEYTURN_\w+", CODE))
    theirs = set(re.findall(r"\bPREFECT_(?!DATABASE\b)\w+", CODE))
    assert ours
    assert theirs
    assert ours <= set(re.findall(r"`(KEYTURN_\w+)`", settings.reference()))
    assert theirs <= _get_valid_setting_names(PrefectSettings)


def test_the_database_is_set_where_the_shapes_set_it() -> None:
    """Prefect has two names for it, and goes by the one that secrets.sh and the chart give."""
    made = (ROOT / "deployments" / "compose" / "secrets.sh").read_text(encoding="utf-8")
    named = set(re.findall(r"\bPREFECT_\w+_CONNECTION_URL", CODE))
    assert named == set(re.findall(r"^(PREFECT_\w+_CONNECTION_URL)=", made, flags=re.MULTILINE))


def test_every_file_exists() -> None:
    """Paths of this repository, in commands and in prose."""
    named = set(re.findall(r"\b((?:tests|deployments|benchmarks)(?:/[\w.-]+)+)", CODE))
    assert named
    assert not {path for path in named if not (ROOT / path).exists()}


def test_every_alert_that_is_named_exists() -> None:
    """Their names are Prometheus' own."""
    rules = (ROOT / "deployments" / "prometheus" / "rules.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"\bKeyturn[A-Z]\w+", GUIDE)) <= set(re.findall(r"alert: (\w+)", rules))
