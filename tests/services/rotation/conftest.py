"""An integration that was onboarded, ready for its secret to be turned."""

from __future__ import annotations

import pytest

from tests.services.rotation.turned import Turned
from tests.services.world import World


@pytest.fixture
def turned(world: World) -> Turned:
    """An onboarded integration."""
    pair = world.stored()
    world.go_on()
    world.consent(world.link())
    world.go_on()
    return Turned(world, pair)
