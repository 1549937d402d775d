"""A client id and its secret, where they may go, and how they are referred to everywhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn


class Credential:
    """A Gong client id and client secret in memory, for as short as possible.

    It refuses to be printed, pickled, copied or turned into JSON, so it cannot reach a log, a Prefect result or the
    ledger by accident. `reveal()` is the one way out, and easy to search for.
    """

    __slots__ = ("_client_secret", "client_id")

    def __init__(self, client_id: str, client_secret: str) -> None:
        self.client_id = client_id
        self._client_secret = client_secret

    def reveal(self) -> str:
        """Give the client secret to whoever must send or store it."""
        return self._client_secret

    def __repr__(self) -> str:
        return "<Credential, not shown>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Credential is never pickled or copied; pass its CredentialRef")

    def __iter__(self) -> NoReturn:
        raise TypeError("a Credential is never serialised; pass its CredentialRef")


@dataclass(frozen=True, slots=True)
class CredentialRef:
    """Where a credential lies, and a keyed fingerprint to recognise it by. Safe anywhere.

    Attributes:
        path: path below the KV v2 mount, e.g. `acme/production/client`.
        version: the KV version at that path.
        fingerprint: HMAC made by Vault's transit engine over client id and secret; never a bare hash.
    """

    path: str
    version: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version of an integration's credential is in use: `<tenant>/<environment>/pointer`.

    Attributes:
        revision: the KV version of the pointer itself, for check-and-set; 0 when it does not exist yet.
        fence: number of the execution that wrote it; an older one never overwrites a newer one's.
        attempt_id: the attempt that wrote it, in text.
        rotation: the token of the rotation that wrote it last: its attempt's id.
        previous: the secret that the last click has left a grace: the one before CURRENT, or a PENDING passed over.
        grace_ends_at: ISO 8601, when Gong has certainly stopped accepting the older secret.
        retired: the last PREVIOUS, after its grace: dead, and never offered for a rollback.
    """

    current: CredentialRef | None = None
    pending: CredentialRef | None = None
    previous: CredentialRef | None = None
    attempt_id: str = ""
    fence: int = 0
    rotation: str = ""
    grace_ends_at: str = ""
    retired: CredentialRef | None = None
    revision: int = field(default=0, compare=False)


class ProbeOutcome(StrEnum):
    """What asking Gong's token endpoint about a pair told us."""

    VALID = "valid"
    WRONG_PAIR = "wrong pair"
    NOT_PROVEN = "not proven"


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer to a credential probe: outcome, and the raw evidence without any secret.

    Attributes:
        status: HTTP status, or `None` when nothing was asked or answered.
        code: OAuth error code or a short word for what came instead.
        explanation: a sentence for the person who typed the pair.
    """

    outcome: ProbeOutcome
    status: int | None
    code: str
    explanation: str
