"""A real OpenBao with the policies of `deployments/vault`, and a real Prometheus, each once for all tests here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyturn.sandbox.openbao import OpenBao, start_openbao
from keyturn.sandbox.processes import Children
from tests.deployments.monitored import Prometheus, monitored


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A running server with its four people."""
    state: Path = tmp_path_factory.mktemp("vault")
    with Children(state) as children:
        yield start_openbao(children)


@pytest.fixture(scope="session")
def prometheus(
    new_database: Callable[[str], str], migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes a console."""
    with monitored(new_database(migrated), tmp_path_factory.mktemp("prometheus")) as running:
        yield running
