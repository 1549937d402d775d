"""The watch on real servers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from keyturn.domain.manifest import SealedManifest
from keyturn.ledger.observatory import PostgresObservatory
from keyturn.ports import Observatory
from tests.services.watched import Watched, onboarded, with_ips
from tests.services.world import World


@pytest.fixture
def observatory(ledger_url: str, engine_of: Callable[[str], Engine], world: World) -> Observatory:
    """Where observations are kept."""
    return PostgresObservatory(engine_of(ledger_url), world.clock, 30)


@pytest.fixture
def watched(world: World, observatory: Observatory) -> Watched:
    """An integration that was onboarded, and is well."""
    return onboarded(world, observatory, with_ips(world.sealed()))


@pytest.fixture
def onboard(observatory: Observatory) -> Callable[[World, SealedManifest], Watched]:
    """Onboard a world with a manifest."""
    return lambda world, sealed: onboarded(world, observatory, sealed)
