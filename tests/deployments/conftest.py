"""A real OpenBao with the policies of `deployments/vault`, set up once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.sandbox.openbao import OpenBao, start_openbao
from keyturn.sandbox.processes import Children


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A running server with its four people."""
    state: Path = tmp_path_factory.mktemp("vault")
    with Children(state) as children:
        yield start_openbao(children)
