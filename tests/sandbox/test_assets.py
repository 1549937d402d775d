"""Files that travel with the wheel."""

from __future__ import annotations

import pytest

from keyturn.errors import ConfigurationError
from keyturn.sandbox.assets import asset


@pytest.mark.parametrize("name", ["prefect.yaml", "deployments/vault", "integrations"])
def test_what_the_sandbox_needs_is_found(name: str) -> None:
    """In a checkout they are at its root; in a wheel, in the package."""
    assert asset(name).exists()


def test_what_is_missing_is_named() -> None:
    """An incomplete installation is a configuration error, not a traceback."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: is not part of this installation"):
        asset("nowhere.yaml")
