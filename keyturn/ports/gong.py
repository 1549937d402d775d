"""Gong, as far as it can be asked anything."""

from __future__ import annotations

from typing import Protocol

from keyturn.domain.credential import Credential, Probe


class TokenEndpoint(Protocol):
    """Gong's token endpoint, as far as a pair can be tried on it without spending anything."""

    def probe(self, credential: Credential) -> Probe:
        """Try the pair with a bogus code. What cannot be told apart is `NOT_PROVEN`; nothing is raised for it."""
