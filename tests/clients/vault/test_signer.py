from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import SecretStr

from keyturn.clients.vault.session import VaultSession
from keyturn.clients.vault.signer import VaultSigner
from keyturn.errors import ConfigurationError, UnavailableError, VendorRefusedError
from keyturn.settings import VaultSettings


def signer(settings: VaultSettings) -> VaultSigner:
    """A signer by these settings."""
    return VaultSigner(VaultSession(settings), settings)


def verifies(pem: str, message: bytes, signature: bytes) -> bool:
    """Whether the signature is the message's, by somebody else's library."""
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def test_a_worker_signs_and_everybody_can_check(bao: Any) -> None:
    """With the worker's policy: 64 bytes as in a JWS, which the public key says are the message's and no other's."""
    vault = signer(bao.worker())
    key = vault.public_keys()[-1]
    signature = vault.sign(b"message", key.kid)
    assert re.fullmatch(r"keyturn-evidence/\d+", key.kid)
    assert len(signature) == 64
    assert verifies(key.pem, b"message", signature)
    assert not verifies(key.pem, b"massage", signature)


def test_an_operator_may_sign_and_others_may_not(own_bao: Any) -> None:
    """By the policies of deployments/vault: alice is an operator, bob and grace are none."""
    people = ("alice", "bob", "grace")
    alice, bob, grace = (signer(own_bao.settings(token=SecretStr(own_bao.login(n)))) for n in people)
    kid = alice.public_keys()[-1].kid
    assert len(alice.sign(b"message", kid)) == 64
    for nobody in (bob, grace):
        with pytest.raises(VendorRefusedError, match="may not"):
            nobody.sign(b"message", kid)


def test_a_rotated_key_signs_by_its_newest_version_and_keeps_the_old_ones(own_bao: Any) -> None:
    """Versions are ten and more in their order, and each signature is by the version that was asked for."""
    vault = signer(own_bao.worker())
    old = vault.public_keys()[-1]
    for _ in range(10):
        own_bao.ask("POST", "transit/keys/keyturn-evidence/rotate")
    keys = vault.public_keys()
    assert [key.kid for key in keys] == [f"keyturn-evidence/{n}" for n in range(1, 12)]
    assert keys[0] == old
    assert verifies(keys[-1].pem, b"m", vault.sign(b"m", keys[-1].kid))
    assert verifies(old.pem, b"m", vault.sign(b"m", old.kid))
    assert not verifies(old.pem, b"m", vault.sign(b"m", keys[-1].kid))


def test_a_missing_or_unfit_key_says_how_it_is_made(bao: Any) -> None:
    """Nobody made it, or somebody made one that cannot sign."""
    bao.ask("POST", "sys/mounts/elsewhere", {"type": "transit"})
    vault = signer(bao.settings(transit_mount="elsewhere"))
    with pytest.raises(
        ConfigurationError, match=r"does not exist → .*vault write elsewhere/keys/keyturn-evidence type="
    ):
        vault.public_keys()
    bao.ask("POST", "elsewhere/keys/keyturn-evidence", {"type": "aes256-gcm96"})
    with pytest.raises(ConfigurationError, match="is of type aes256-gcm96"):
        vault.public_keys()


def test_a_lost_answer_may_be_asked_for_again(bao: Any, lossy: Any) -> None:
    """Signing twice does no harm, so silence is not ambiguous."""
    vault = signer(bao.worker(addr=f"http://127.0.0.1:{lossy.port}", timeout_s=2.0))
    kid = vault.public_keys()[-1].kid
    lossy.lose("POST /v1/transit/sign/keyturn-evidence")
    with pytest.raises(UnavailableError):
        vault.sign(b"m", kid)
    assert len(base64.b64encode(vault.sign(b"m", kid))) == 88
