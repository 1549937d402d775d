"""What an integration is called."""

from __future__ import annotations

import re
from dataclasses import dataclass

from keyturn.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, order=True)
class IntegrationKey:
    """`tenant/environment`, e.g. `acme/production`: one Gong OAuth integration and its StackOne profile."""

    tenant: str
    environment: str

    def __post_init__(self) -> None:
        for part in (self.tenant, self.environment):
            if not _NAME.fullmatch(part):
                raise ConfigurationError(
                    f"{self.tenant}/{self.environment}",
                    f"{part!r} is not a usable name",
                    "Use 1 to 63 lower-case letters, digits and inner hyphens, as in acme/production.",
                )

    def __str__(self) -> str:
        return f"{self.tenant}/{self.environment}"

    @classmethod
    def parse(cls, text: str) -> IntegrationKey:
        """Read `tenant/environment`.

        Raises:
            ConfigurationError: the text has another shape.
        """
        tenant, slash, environment = text.partition("/")
        if not slash:
            raise ConfigurationError(text, "is not a key", "Give tenant/environment, as in acme/production.")
        return cls(tenant, environment)
