"""Evidence signed without Vault."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyturn.ports import PublicKey

_NAME = "keyturn-evidence"


class FakeSigner:
    """Implements `keyturn.ports.Signer` with keys in memory."""

    def __init__(self) -> None:
        self._keys = [ec.generate_private_key(ec.SECP256R1())]

    def rotate(self) -> None:
        """Sign by a new version from now on."""
        self._keys.append(ec.generate_private_key(ec.SECP256R1()))

    def public_keys(self) -> Sequence[PublicKey]:
        """Every version, oldest first."""
        return [PublicKey(f"{_NAME}/{number}", _pem(key)) for number, key in enumerate(self._keys, 1)]

    def sign(self, message: bytes, kid: str) -> bytes:
        """By that version."""
        key = self._keys[int(kid.partition("/")[2]) - 1]
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
