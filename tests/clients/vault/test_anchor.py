from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr

from keyturn.clients.vault.anchor import PATH, VaultAnchor
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.trail import GENESIS, Head
from keyturn.errors import AmbiguousError, VendorRefusedError
from keyturn.ports import Anchored
from keyturn.settings import VaultSettings

HEAD = Head(7, "a" * 64)


def anchor(settings: VaultSettings) -> VaultAnchor:
    """An anchor by these settings."""
    return VaultAnchor(VaultSession(settings), settings)


@pytest.fixture
def mount(bao: Any, request: pytest.FixtureRequest) -> str:
    """A mount of this test's own: there is one head in each."""
    name = f"own-{abs(hash(request.node.nodeid))}"
    bao.ask("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}})
    return name


def test_a_worker_keeps_the_head(bao: Any) -> None:
    """With the worker's policy: none at first, then the one that was kept, and the next over it."""
    worker = anchor(bao.worker())
    before = worker.read()
    assert worker.move(HEAD, before.revision)
    assert worker.read() == Anchored(HEAD, before.revision + 1)
    assert worker.move(Head(8, "b" * 64), before.revision + 1)
    assert worker.read().head.seq == 8


def test_an_operator_may_look_and_nobody_else(bao: Any) -> None:
    """By the policies of deployments/vault: alice is an operator, bob is none."""
    anchor(bao.worker()).move(HEAD, anchor(bao.worker()).read().revision)
    alice, bob = (anchor(bao.settings(token=SecretStr(bao.login(name)))) for name in ("alice", "bob"))
    kept = alice.read()
    assert kept.head.seq > 0
    with pytest.raises(VendorRefusedError, match="may not"):
        alice.move(HEAD, kept.revision)
    with pytest.raises(VendorRefusedError, match="may not"):
        bob.read()


def test_none_was_kept_yet(bao: Any, mount: str) -> None:
    """That is where every trail begins."""
    assert anchor(bao.settings(mount=mount)).read() == Anchored(GENESIS, 0)


def test_the_day_is_kept_beside_the_head(bao: Any, mount: str) -> None:
    """And a head without one, or with something else there, is as good."""
    kept, day = anchor(bao.settings(mount=mount)), date(2026, 3, 2)
    kept.move(HEAD, 0)
    assert kept.read() == Anchored(HEAD, 1, None)
    kept.move(HEAD, 1, day)
    assert kept.read() == Anchored(HEAD, 2, day)
    data = {"seq": HEAD.seq, "hash": HEAD.hash, "checked": ["soon"]}
    bao.ask("POST", f"{mount}/data/{PATH}", {"options": {"cas": 2}, "data": data})
    assert kept.read() == Anchored(HEAD, 3, None)


def test_of_many_at_once_one_moves_it(bao: Any, mount: str) -> None:
    """Whoever came too late is told so, and the head is the winner's."""
    kept = anchor(bao.settings(mount=mount))
    with ThreadPoolExecutor(8) as pool:
        moved = list(pool.map(lambda n: kept.move(Head(n, "a" * 64), 0), range(1, 9)))
    assert moved.count(True) == 1
    assert kept.read() == Anchored(Head(moved.index(True) + 1, "a" * 64), 1)


def test_a_deleted_head_is_not_taken_for_none(bao: Any, mount: str) -> None:
    """Otherwise deleting it were the way to have a forged trail kept as the right one."""
    kept = anchor(bao.settings(mount=mount))
    kept.move(HEAD, 0)
    bao.ask("DELETE", f"{mount}/data/{PATH}")
    with pytest.raises(VendorRefusedError, match="was deleted in Vault by hand"):
        kept.read()


@pytest.mark.parametrize(
    "data", [{}, {"seq": "7", "hash": "a" * 64}, {"seq": 0, "hash": "a" * 64}, {"seq": 7, "hash": "A"}]
)
def test_what_is_no_head_is_refused(bao: Any, mount: str, data: dict[str, object]) -> None:
    """Somebody wrote it by hand."""
    bao.ask("POST", f"{mount}/data/{PATH}", {"options": {"cas": 0}, "data": data})
    with pytest.raises(VendorRefusedError, match="is not one"):
        anchor(bao.settings(mount=mount)).read()


def test_a_lost_answer_leaves_it_open(bao: Any, lossy: Any, mount: str) -> None:
    """It is kept or not; whoever reads again sees."""
    kept = anchor(bao.settings(mount=mount, addr=f"http://127.0.0.1:{lossy.port}", timeout_s=2.0))
    lossy.lose(f"POST /v1/{mount}/data/{PATH}")
    with pytest.raises(AmbiguousError):
        kept.move(HEAD, 0)
    assert kept.read().head == HEAD
