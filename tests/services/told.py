"""What people are to be told about an integration."""

from __future__ import annotations

from sqlalchemy import select

from keyturn.domain.notice import Event, Notice, Severity
from keyturn.ledger.tables import notices
from tests.services.world import World


def told(world: World, *events: Event) -> list[Notice]:
    """Every notice of these events that there ever was about the integration, or about keyturn itself; oldest first."""
    about = select(notices).where(notices.c.key.in_((str(world.key), "")), notices.c.event.in_(events))
    with world.ports._engine.connect() as connection:
        rows = connection.execute(about.order_by(notices.c.seq)).all()
    return [Notice(Event(row.event), Severity(row.severity), row.key, row.about, row.facts) for row in rows]
