"""What the tests of Vault's policies share: whether something is refused, and a pair to write."""

from __future__ import annotations

from keyturn.errors import VendorRefusedError
from keyturn.sandbox.vault_api import VaultApi

PAIR = {"client_id": "id-of-a-test", "client_secret": "secret-of-a-test"}


def denied(api: VaultApi, method: str, path: str, body: dict[str, object] | None = None) -> bool:
    """Whether the call is answered with 403, permission denied."""
    try:
        api.call(method, path, body)
    except VendorRefusedError as refused:
        if refused.problem.startswith("403"):
            return True
        raise
    return False


def deposit(cas: int = 0) -> dict[str, object]:
    """The body of a write."""
    return {"options": {"cas": cas}, "data": PAIR}
