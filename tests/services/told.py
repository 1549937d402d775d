"""What people are to be told about an integration."""

from __future__ import annotations

from sqlalchemy import Engine, select

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.ledger.tables import notices
from tests.services.world import World


def told(world: World, *events: Event) -> list[Notice]:
    """Every notice of these events that there ever was about a world's integration, oldest first."""
    return notices_of(world.ports._engine, world.key, *events)


def notices_of(engine: Engine, key: IntegrationKey | None, *events: Event) -> list[Notice]:
    """Every notice of these events about an integration, or about keyturn itself; oldest first."""
    asked = select(notices).where(notices.c.key == str(key or ""), notices.c.event.in_(events))
    with engine.connect() as connection:
        rows = connection.execute(asked.order_by(notices.c.seq)).all()
    return [Notice(Event(row.event), Severity(row.severity), row.key, row.about, row.facts) for row in rows]
