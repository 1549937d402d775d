"""How keyturn itself signs in to Vault where it has no token: by AppRole, or as the pod it runs in."""

from __future__ import annotations

from keyturn.clients.vault.failures import Call
from keyturn.errors import ConfigurationError
from keyturn.settings import VaultAuth, VaultSettings


def login(settings: VaultSettings) -> Call:
    """The call that signs in. Made anew each time: the cluster replaces a pod's token while the pod runs.

    Raises:
        ConfigurationError: the service account's token cannot be read.
    """
    if settings.auth is VaultAuth.KUBERNETES:
        body = {"role": settings.role, "jwt": _jwt(settings)}
        return Call("POST", f"auth/{settings.kubernetes_mount}/login", body, repeatable=True)
    body = {"role_id": settings.role_id, "secret_id": settings.secret_id.get_secret_value()}
    return Call("POST", "auth/approle/login", body, repeatable=True)


def _jwt(settings: VaultSettings) -> str:
    remedy = "Give the pod a service account's token there, as deployments/kubernetes does; or sign in by AppRole."
    try:
        jwt = settings.jwt_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        jwt = ""
    if not jwt:
        raise ConfigurationError("KEYTURN_VAULT__JWT_FILE", f"no token can be read from {settings.jwt_file}", remedy)
    return jwt
