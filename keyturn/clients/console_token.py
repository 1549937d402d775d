"""Who a command is at the console: a person's Vault token, else an ID token of the console's OpenID provider."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyturn.clients.vault.person import person_token
from keyturn.errors import NotPermittedError

_FILE = Path(".config") / "keyturn" / "token.json"
_SPARE_S = 30.0  # a token that lives no longer than this is not worth sending


@dataclass(frozen=True, slots=True)
class Provider:
    """Where an ID token for a console comes from.

    Attributes:
        console: address of the console, which nobody else's token is sent to.
    """

    console: str
    issuer: str
    client_id: str


class CommandTokens:
    """Implements `keyturn.clients.console.Tokens` for somebody at a keyboard.

    Args:
        environ: may hold a Vault token.
        home: may hold one, too; and an ID token of before.
        provider: asks the console for its provider; raises NotPermittedError when it has none.
        sign_in: has the person sign in there, and gives the ID token.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        home: Path,
        provider: Callable[[], Provider],
        sign_in: Callable[[Provider], str],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._environ, self._home, self._wall = environ, home, wall
        self._ask, self._sign_in = provider, sign_in
        self._token = ""
        self._provider: Provider | None = None

    def token(self) -> str:
        """The token to send.

        Raises:
            NotPermittedError: there is none, and no provider to get one from.
        """
        self._token = self._token or self._from_vault() or self._from_provider()
        return self._token

    def instead_of(self, refused: str) -> str:
        """A new ID token in the place of one that was kept; of Vault's there is no other."""
        if self._provider is None or refused != self._token:
            return ""
        self._token = self._signed_in(self._provider)
        return self._token

    def _from_vault(self) -> str:
        try:
            return person_token(self._environ, self._home)
        except NotPermittedError:
            return ""

    def _from_provider(self) -> str:
        self._provider = self._ask()
        return self._kept(self._provider) or self._signed_in(self._provider)

    def _signed_in(self, provider: Provider) -> str:
        token = self._sign_in(provider)
        _write(self._home / _FILE, _entry(provider) | {"id_token": token, "expires_at": _expiry(token)})
        return token

    def _kept(self, provider: Provider) -> str:
        kept = _read(self._home / _FILE)
        mine = _entry(provider).items() <= kept.items()
        expires_at, token = kept.get("expires_at"), kept.get("id_token")
        lives = isinstance(expires_at, int | float) and expires_at > self._wall() + _SPARE_S
        return token if mine and lives and isinstance(token, str) else ""


def _entry(provider: Provider) -> dict[str, Any]:
    return {"console": provider.console, "issuer": provider.issuer, "client_id": provider.client_id}


def _expiry(token: str) -> float:
    """When an ID token ends, as it says itself. Whether it holds is the console's business."""
    try:
        body = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return 0.0


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(path: Path, entry: Mapping[str, Any]) -> None:
    """Keep it for its owner's eyes only. Where nothing can be written, the next command signs in again."""
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(dict(entry), file)
        new.replace(path)
    except OSError:
        return
