"""A ledger and a Vault of these tests' own: they are restored as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from keyturn.sandbox.openbao import OpenBao, start_openbao
from keyturn.sandbox.processes import Children
from keyturn.sandbox.vault_setup import PEOPLE
from tests.services.restoring.life import Life, Stores
from tests.services.world import World


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """Another OpenBao than that of the other tests."""
    with Children(tmp_path_factory.mktemp("openbao-restored")) as children:
        yield start_openbao(children)


@pytest.fixture(scope="session")
def tokens(openbao: OpenBao) -> Mapping[str, str]:
    """Everybody's own token there; older than every snapshot, and so good after each restore."""
    return {name: openbao.login(name) for name in PEOPLE}


@pytest.fixture
def ledger_url(url: str) -> str:
    """Each test's own database: it is dropped and made anew from a backup."""
    return url


@pytest.fixture
def life(world: World, openbao: OpenBao, ledger_url: str, server: str, new_ports: Callable[..., object]) -> Life:
    """An integration that has not begun, its stores, and who backs them up."""
    return Life(world, Stores(openbao, ledger_url, server), new_ports)
