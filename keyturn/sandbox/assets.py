"""Files of the project that the sandbox applies to its own servers: they travel with the wheel."""

from __future__ import annotations

from pathlib import Path

from keyturn.errors import ConfigurationError


def asset(name: str) -> Path:
    """Where `prefect.yaml`, `deployments/vault` or `integrations` is: in the installed wheel, else in the checkout.

    Raises:
        ConfigurationError: in neither.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "assets", here.parents[2]):
        if (folder / name).exists():
            return folder / name
    raise ConfigurationError(
        name, "is not part of this installation", "Install keyturn again, from its wheel or a checkout."
    )
