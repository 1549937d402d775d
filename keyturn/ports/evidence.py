"""What evidence files are signed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public part of one version of the signing key.

    Attributes:
        kid: names key and version, as in an evidence file's header.
        pem: an EC key on P-256, in PEM form.
    """

    kid: str
    pem: str


class Signer(Protocol):
    """Signs with a key that nobody can take away."""

    def public_keys(self) -> Sequence[PublicKey]:
        """Every version, oldest first; the last one signs.

        Raises:
            ConfigurationError: there is no such key, or it is of another type.
        """

    def sign(self, message: bytes, kid: str) -> bytes:
        """The message's signature by ES256, as it stands in a JWS, by the version that `kid` names."""
