"""The page of a gate stands, and says what is so, whatever is around it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from keyturn.domain.trail import Chained
from keyturn.ports import Trail
from tests.console.conftest import ORIGIN, Console
from tests.console.forms import words_of
from tests.console.seats import sitting
from tests.services.world import World

Harm = dict[str, object]


class Harmed:
    """A trail whose newest rows somebody has changed by force."""

    def __init__(self, trail: Trail, harm: Harm) -> None:
        self._trail, self._harm = trail, harm

    def latest(self, *asked: object, **more: object) -> Sequence[Chained]:
        """The rows with the harm done."""
        rows: Sequence[Chained] = self._trail.latest(*asked, **more)  # type: ignore[arg-type]  handed through
        return [replace(row, text=json.dumps(json.loads(row.text) | self._harm)) for row in rows]


@pytest.mark.parametrize("harm", [{"at": "20000-01-01T00:00:00Z"}, {"detail": []}, {"detail": "text"}])
def test_rows_of_the_trail_that_nobody_can_read(world: World, console: Console, harm: Harm) -> None:
    """They hide nothing of the question; whoever asked is then called by their id."""
    gate = world.to_approval()
    sit = sitting(world, console)
    assert "Requested by userpass-alice" in words_of(sit("bob").open(gate))
    console.ports.trail = Harmed(console.ports.trail, harm)  # type: ignore[assignment]  what this page asks of it
    words = words_of(sit("bob").open(gate))
    assert f"Requested by {gate.requester}" in words
    assert f"Approve {gate.digest[:12]}" in words


def test_the_address_on_paper_is_the_consoles_own(world: World, console: Console) -> None:
    """What is printed leads back by the address that the settings name, however the request came here."""
    gate = world.to_intake()
    grace = sitting(world, console)("grace")
    grace.browser.client.base_url = ORIGIN.replace("https:", "http:")
    page = grace.open(gate)
    assert f"At {ORIGIN}/gates/{gate.id}, signed in as yourself." in words_of(page)
    assert "http://console.example" not in page
