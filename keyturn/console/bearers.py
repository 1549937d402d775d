"""Who sends a bearer token: a Vault token, or an ID token of the provider."""

from __future__ import annotations

from keyturn.console.sign_in.provider import Provider
from keyturn.domain.gate import Person
from keyturn.wiring import Ports


class Bearers:
    """Tells whose token it is, by asking whoever gave it out."""

    def __init__(self, ports: Ports, provider: Provider | None) -> None:
        self._ports, self._provider = ports, provider

    def person(self, token: str) -> Person:
        """Whose token it is.

        Raises:
            NotSignedInError: it is nobody's, or no longer valid.
        """
        raise NotImplementedError
