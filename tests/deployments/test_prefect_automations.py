from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prefect.events.schemas.automations import AutomationCore
from ruamel.yaml import YAML

from keyturn.domain.notice import Event

FOLDER = Path(__file__).parents[2] / "deployments" / "prefect"
AUTOMATIONS = YAML(typ="safe").load((FOLDER / "automations.yaml").read_text())["automations"]
OURS = {f"keyturn.{event}" for event in Event} - {"keyturn.test"}


@pytest.mark.parametrize("automation", AUTOMATIONS, ids=lambda a: a["name"])
def test_prefect_takes_every_example(automation: dict[str, Any]) -> None:
    """It fits what `prefect automation create` makes of it, loses nothing on the way, and says what it is for."""
    read = AutomationCore.model_validate(automation)
    assert read.description
    assert automation["trigger"].keys() <= read.trigger.model_dump().keys()


def test_examples_wait_for_events_that_there_are() -> None:
    """What is named in keyturn's own events exists there."""
    expected = {event for automation in AUTOMATIONS for event in automation["trigger"]["expect"]}
    assert {event for event in expected if event.startswith("keyturn.")} <= OURS


def test_the_readme_names_every_event_and_placeholder() -> None:
    """Nobody has to look into the code for what can be reacted to, or into the file for what must be replaced."""
    readme = (FOLDER / "README.md").read_text()
    named = set()
    for row in re.findall(r"^\| (`keyturn\..*?) \|", readme, re.MULTILINE):
        first, *others = re.findall(r"`([^`]+)`", row)
        named |= {first, *(first.rpartition(".")[0] + other for other in others)}
    assert named == OURS
    placeholders = set(re.findall(r"00000000-[0-9a-f-]{27}", (FOLDER / "automations.yaml").read_text()))
    assert placeholders == set(re.findall(r"00000000-[0-9a-f-]{27}", readme))
