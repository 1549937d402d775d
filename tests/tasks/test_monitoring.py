"""A round's threads are shared by its shards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from keyturn import wiring
from tasks import monitoring


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
