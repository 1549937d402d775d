"""Integrations, one or many: what the fleet knows, put together with what the observatory does."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.console.api.shapes.attempts import Dated, Progress
from keyturn.console.api.shapes.fleet import Integration, Listed, Page
from keyturn.console.api.shapes.questions import Asked
from keyturn.domain.fleet import FleetQuery, FleetRow
from keyturn.domain.health import Health
from keyturn.domain.integration import IntegrationKey
from keyturn.wiring import Ports


def page_of(ports: Ports, query: FleetQuery) -> Page:
    """A page of integrations, in a number of statements that does not grow with them.

    Raises:
        ConfigurationError: `query.after` is no `next` of such a list.
    """
    found = ports.fleet.search(query)
    return Page(items=_listed(ports, found.rows), next=found.next)


def integration_of(ports: Ports, key: IntegrationKey, progress: Progress) -> Integration:
    """One integration, and how far its newest attempt got."""
    row = ports.fleet.row(key)
    return Integration(
        **dict(progress),
        listed=next(iter(_listed(ports, [row] if row else [])), None),
        gates=[Asked.of(g) for g in ports.ledger.gates(key=key)],
        attempts=[Dated.of(a) for a in ports.ledger.attempts(key)],
    )


def _listed(ports: Ports, rows: Sequence[FleetRow]) -> list[Listed]:
    keys, now = [row.key for row in rows], ports.clock.now()
    members = {m.key: m for m in ports.observatory.members(keys)}
    healths = ports.observatory.fleet(keys)
    return [
        Listed.row(row, members[row.key], healths.get(row.key, Health()), now) for row in rows if row.key in members
    ]
