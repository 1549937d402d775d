"""A round's threads are shared by its shards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sqlalchemy import text

from keyturn import wiring
from keyturn.ledger.engine import make_engine
from keyturn.settings import Settings
from tasks import monitoring
from tests.services.fleet import Fleet


class Submitted:
    """Stands for the task `check`, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[list[str], int]] = []

    def submit(self, keys: list[str], threads: int) -> SimpleNamespace:
        """As Prefect's."""
        self.given.append((keys, threads))
        return SimpleNamespace(result=lambda: len(keys))


@pytest.mark.parametrize("count", [0, 1, 25, 26, 60, 200, 1000])
@pytest.mark.parametrize("threads", [1, 2, 3, 8, 64])
def test_no_more_threads_than_set(count: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many shards there are, all of them together check as many integrations at once as the setting says.

    Patched, because tasks need a Prefect server.
    """
    keys, check = [f"acme/{n}" for n in range(count)], Submitted()
    settings = SimpleNamespace(watch=SimpleNamespace(threads=threads))
    monkeypatch.setattr(wiring, "ports", lambda: SimpleNamespace(settings=settings))
    monkeypatch.setattr(monitoring, "claim", lambda: monitoring.sharded(keys, threads))
    monkeypatch.setattr(monitoring, "check", check)
    monkeypatch.setattr(monitoring, "fleet", lambda: None)
    assert monitoring.health() == count
    assert [key for shard, _ in check.given for key in shard] == keys
    assert all(each > 0 for _, each in check.given)
    assert sum(each for _, each in check.given) <= threads


def test_a_fleet_that_nobody_looks_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round takes the marks of what has changed, and the first one of a day counts the fleet for its history.

    Patched, because the process's own ports come from its environment.
    """
    engine = make_engine(url)
    ports = wiring.Ports(Settings(ledger={"url": url}))
    monkeypatch.setattr(wiring, "ports", lambda: ports)
    fleet = Fleet(engine)
    fleet.onboarded("acme")
    assert monitoring.claim.fn() == [["acme/production"]]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM stale")).scalar() == 0
        assert connection.execute(text("SELECT count(*) FROM snapshots WHERE name <> 'pictures'")).scalar() == 1
    ports._engine.dispose()
    engine.dispose()
