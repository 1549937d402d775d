"""`python -m keyturn.sandbox.sign_in STATE NAME` prints a fresh Vault token of one of the sandbox's people."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.sandbox.vault_api import VaultApi


def token(state: Path, name: str) -> str:
    """Sign in as that person.

    Raises:
        ConfigurationError: nobody of that name is in this sandbox.
        UnavailableError: the sandbox is not running.
    """
    people = state / "people.json"
    passwords: dict[str, str] = json.loads(people.read_text()) if people.exists() else {}
    if name not in passwords:
        known = ", ".join(sorted(passwords)) or "nobody"
        raise ConfigurationError(name, f"is not in the sandbox at {state}", f"In it: {known}.")
    port = json.loads((state / "ports.json").read_text())["openbao"]
    ca = authority_of(state)
    with VaultApi(f"{'https' if ca else 'http'}://127.0.0.1:{port}", ca=ca) as api:
        answer = api.write(f"auth/userpass/login/{name}", {"password": passwords[name]})
    return str(answer["auth"]["client_token"])


def authority_of(state: Path) -> Path | None:
    """What OpenBao's certificate is checked with in that sandbox; `None` where it speaks plain HTTP."""
    ca = state / "tls" / "ca.pem"
    return ca if ca.exists() else None


def main() -> None:
    """Print the token, and nothing else, on standard output."""
    try:
        _, state, name = sys.argv
        sys.stdout.write(token(Path(state), name) + "\n")
    except ValueError:
        sys.exit("give the sandbox's folder and a name")
    except KeyturnError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
