"""A fleet that is looked at through its book, next to what the ledger's other tables say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from keyturn.domain.attempt import AttemptState, Execution, Stage
from keyturn.domain.fleet import FleetQuery, FleetRow
from keyturn.domain.gate import Gate, GateState
from keyturn.domain.health import Cause, Drift, Observation, Outcome, Subject
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.verdict import Layer, LayerStatus
from keyturn.ledger import standings
from keyturn.ledger.fleet_book import PostgresFleet
from keyturn.ledger.observatory import PostgresObservatory
from keyturn.ledger.unit import transaction
from tests.services.fleet import ALICE, Fleet, _sealed

VERDICT: Mapping[Layer, LayerStatus] = {
    Layer.L0: LayerStatus.PASSED,
    Layer.L1: LayerStatus.NOT_TESTED,
    Layer.L2: LayerStatus.PASSED,
    Layer.L3: LayerStatus.PASSED,
}


@dataclass
class Booked(Fleet):
    """A fleet with its book and its watch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.book = self.another_book()
        self.observatory = PostgresObservatory(self.engine, self.clock, 20.0)

    def another_book(self) -> PostgresFleet:
        """The book as another process reads it."""
        return PostgresFleet(self.engine, self.clock, 20.0)

    def row(self, key: IntegrationKey) -> FleetRow:
        """What the book says of an integration."""
        row = self.book.row(key)
        assert row is not None
        return row

    def truth(self, key: IntegrationKey) -> FleetRow:
        """What the other tables say of it."""
        with transaction(self.engine, self.clock, 20.0, str(key)) as unit:
            (row,) = standings.derived(unit.connection, [str(key)])
        over = row.grace_ends_at is not None and row.grace_ends_at <= self.clock.now()
        return replace(row, grace_ends_at=None) if over else row

    def keys(self, query: FleetQuery) -> list[str]:
        """The tenants on one page."""
        return [row.key.tenant for row in self.book.search(query).rows]

    def pages(self, query: FleetQuery) -> list[FleetRow]:
        """All rows of a list, page by page."""
        rows: list[FleetRow] = []
        while True:
            page = self.book.search(query)
            rows += page.rows
            assert len(page.rows) <= query.limit
            if not page.next:
                return rows
            query = replace(query, after=page.next)

    # --- what happens

    def started(self, tenant: str) -> Execution:
        """An onboarding whose run has begun."""
        return self.ledger.begin_execution(self.ledger.open_attempt(_sealed(tenant, {}), ALICE).attempt.id, None)

    def tested(self, run: Execution) -> None:
        """The onboarding's connection was tested, and that completed it."""
        body = {layer: {"layer": layer, "status": status, "evidence": "seen"} for layer, status in VERDICT.items()}
        with self.ledger.exclusive(run) as work:
            work.write_receipt(Stage.TEST_CONNECTION, body)
        self.ledger.finish(run, AttemptState.COMPLETED, "")

    def closed(self, run: Execution, gate: Gate) -> None:
        """What was asked for came about."""
        with self.ledger.exclusive(run) as work:
            work.close_gate(gate.id, GateState.APPROVED, "it was seen", {})

    def looked(self, key: IntegrationKey, *outcomes: Outcome, causes: Sequence[Cause] = ()) -> None:
        """A round of the watch, a quarter of an hour after the one before: pair, profile, accounts …."""
        self.clock.move(minutes=15)
        pairs = zip(Subject, outcomes, strict=False)
        looks = [Observation(subject, outcome, "seen", self.clock.now()) for subject, outcome in pairs]
        self.observatory.observe(key, looks, [Drift(cause, "seen", "act") for cause in causes], ())

    def raised(self, key: IntegrationKey, *causes: Cause) -> None:
        """Causes that stand, for they were seen twice."""
        for _ in range(2):
            self.looked(key, Outcome.BAD, causes=causes)
