from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prefect.events.schemas.automations import AutomationCore
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments" / "prefect"
AUTOMATIONS = YAML(typ="safe").load((FOLDER / "automations.yaml").read_text())["automations"]


def emitted() -> set[str]:
    """The names of events in the tasks' source; `<…>` where a value is put in."""
    source = "\n".join(file.read_text() for file in sorted((ROOT / "tasks").glob("*.py")))
    named = set(re.findall(r'"((?:verdict|drift)\.\w+)"', source))
    named |= {f"rotation.{what}" for what in re.findall(r'events\.rotation\([^"]*"(\w+)"', source)}
    named |= {f"{what}.<{what}>" for what in re.findall(r'_emit\(f"(\w+)\.\{\w+\.', source)}
    return {f"keyturn.{name}" for name in named}


@pytest.mark.parametrize("automation", AUTOMATIONS, ids=lambda a: a["name"])
def test_prefect_takes_every_example(automation: dict[str, Any]) -> None:
    """It fits what `prefect automation create` makes of it, loses nothing on the way, and says what it is for."""
    read = AutomationCore.model_validate(automation)
    assert read.description
    assert automation["trigger"].keys() <= read.trigger.model_dump().keys()


def test_examples_wait_for_events_that_there_are() -> None:
    """The tasks emit what is waited for; otherwise an automation would be silent for ever."""
    expected = {event for automation in AUTOMATIONS for event in automation["trigger"]["expect"]}
    assert {event for event in expected if event.startswith("keyturn.")} <= emitted()


def test_the_readme_names_every_event_and_placeholder() -> None:
    """Nobody has to look into the code for what can be reacted to, or into the file for what must be replaced."""
    readme = (FOLDER / "README.md").read_text()
    rows = re.findall(r"^\| (`keyturn\..*?) \|", readme, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == emitted()
    placeholders = set(re.findall(r"00000000-[0-9a-f-]{27}", (FOLDER / "automations.yaml").read_text()))
    assert placeholders == set(re.findall(r"00000000-[0-9a-f-]{27}", readme))
