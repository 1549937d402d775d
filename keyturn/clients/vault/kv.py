"""Versioned secrets: one KV version 2 mount, always written by check-and-set.

https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn.clients.vault.session import VaultSession
from keyturn.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a secret.

    Attributes:
        version: 0 when there never was one.
        data: `None` when there is none, or it is gone.
        gone: `deleted` or `destroyed`; otherwise empty.
    """

    version: int
    data: Mapping[str, Any] | None = field(default=None, repr=False)
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Versions:
    """What a secret's metadata says: the newest version's number (0: none), and which ones can be read."""

    current: int
    readable: frozenset[int]


class KeyValue:
    """One KV version 2 mount.

    Raises:
        ConfigurationError: from every method, when the mount is not version 2.
    """

    def __init__(self, session: VaultSession, mount: str) -> None:
        self._session, self._mount = session, mount
        self._is_v2 = False

    def read(self, path: str, version: int | None = None) -> Stored:
        """The newest version, or exactly that one."""
        self.require_v2()
        params = {"version": str(version)} if version is not None else None
        return _stored(self._session.read(f"{self._mount}/data/{path}", params))

    def read_wrapped(self, path: str, version: int, ttl_s: int) -> Stored:
        """The same as `read`, for a token that gets this secret only wrapped: wrapped, and opened at once."""
        self.require_v2()
        answer = self._session.read(f"{self._mount}/data/{path}", {"version": str(version)}, wrap_ttl_s=ttl_s)
        if answer is None or "wrap_info" not in answer:
            return Stored(version=0)
        return _stored(self._session.write("sys/wrapping/unwrap", {"token": answer["wrap_info"]["token"]}))

    def write(self, path: str, data: Mapping[str, Any], cas: int, token: str | None = None) -> int:
        """Write a new version if the newest is still `cas` (0: none yet); returns its number.

        Raises:
            CasMismatchError: it is not.
            AmbiguousError: no answer came.
        """
        self.require_v2()
        body = {"options": {"cas": cas}, "data": data}
        answer = self._session.write(f"{self._mount}/data/{path}", body, token=token)
        return int(answer["data"]["version"])

    def versions(self, path: str) -> Versions:
        """Which versions there are, without reading any."""
        self.require_v2()
        answer = self._session.read(f"{self._mount}/metadata/{path}")
        if answer is None:
            return Versions(0, frozenset())
        known = answer["data"]["versions"].items()
        return Versions(answer["data"]["current_version"], frozenset(int(n) for n, v in known if not _gone(v)))

    def wrap(self, path: str, version: int, ttl_s: int) -> Mapping[str, Any]:
        """Have Vault wrap that version: `token`, `accessor`, `ttl` in seconds. It wraps one that is gone, too."""
        self.require_v2()
        answer = self._session.read(f"{self._mount}/data/{path}", {"version": str(version)}, wrap_ttl_s=ttl_s)
        wrapped: Mapping[str, Any] = (answer or {})["wrap_info"]
        return wrapped

    def require_v2(self) -> None:
        """Look once: a version 1 mount ignores check-and-set without a word, and keeps no versions."""
        if self._is_v2:
            return
        answer = self._session.read(f"sys/internal/ui/mounts/{self._mount}") or {"data": {}}
        kind, options = answer["data"].get("type"), answer["data"].get("options") or {}
        if (kind, options.get("version")) != ("kv", "2"):
            raise ConfigurationError(
                f"Vault mount {self._mount}/",
                f"is {kind} version {options.get('version', 1)}, not kv version 2",
                f"Run `vault kv enable-versioning {self._mount}/`, or name another mount in KEYTURN_VAULT__MOUNT.",
            )
        self._is_v2 = True


def _stored(answer: Mapping[str, Any] | None) -> Stored:
    if answer is None:
        return Stored(version=0)
    metadata = answer["data"]["metadata"]
    return Stored(metadata["version"], answer["data"]["data"], _gone(metadata))


def _gone(metadata: Mapping[str, Any]) -> str:
    if metadata["destroyed"]:
        return "destroyed"
    return "deleted" if metadata["deletion_time"] else ""
