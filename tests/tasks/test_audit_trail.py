from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import Engine

from keyturn import wiring
from keyturn.domain.notice import Event
from keyturn.errors import VendorRefusedError
from keyturn.ledger.engine import make_engine
from keyturn.ledger.outbox import PostgresOutbox
from keyturn.ledger.trail import PostgresTrail
from tasks import monitoring
from tests.fakes.anchor import FakeAnchor
from tests.fakes.clock import FakeClock
from tests.services.told import notices_of


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A ledger of this test's own."""
    made = make_engine(url)
    yield made
    made.dispose()


def test_a_head_that_was_taken_away_fails_no_run(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """People are told, and nothing is raised that only a look at the run would show.

    Patched, because a process has one set of ports, made from its environment.
    """
    clock, kept = FakeClock(), FakeAnchor()
    kept.down = VendorRefusedError("audit trail's head", "version 2 was deleted in Vault by hand", "Bring it back.")
    outbox = PostgresOutbox(engine, clock, 20.0)
    ports = SimpleNamespace(trail=PostgresTrail(engine), anchor=kept, outbox=outbox, clock=clock)
    monkeypatch.setattr(wiring, "ports", lambda: ports)
    with disable_run_logger():
        assert monitoring.audit_trail.fn() == 0
    (notice,) = notices_of(engine, None, Event.AUDIT_BROKEN)
    assert notice.facts["found"] == kept.down.problem
