"""What Vault's refusals and its silence mean: the one place that knows statuses, phrases and `requests`' exceptions.

Statuses: https://developer.hashicorp.com/vault/api-docs#http-status-codes. Phrases were seen on OpenBao 2.7.2. What is
made here carries paths and statuses, never a header or a body, for those hold tokens and secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, SSLError

from keyturn.errors import (
    AmbiguousError,
    ConfigurationError,
    KeyturnError,
    RateLimitedError,
    UnavailableError,
    VendorRefusedError,
    WrappingTokenUsedError,
)

_NOT_READY = frozenset({412, 472, 473, HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.SERVICE_UNAVAILABLE})
_CAPABILITIES = {"GET": "read", "POST": "create or update", "LIST": "list", "DELETE": "delete"}


class CasMismatchError(Exception):
    """Another version was written since ours was read. Stays inside this package."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to Vault.

    Attributes:
        path: below `/v1/`.
        wrap_ttl_s: have the answer wrapped for that many seconds; 0 for a plain answer.
        repeatable: a change that does no harm when it is made twice, so a lost answer needs no reading back.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, str] | None = None
    wrap_ttl_s: int = 0
    repeatable: bool = False

    @property
    def loses_track(self) -> bool:
        """Whether one has to look what came of it when no answer comes."""
        return self.method != "GET" and not self.repeatable

    @property
    def signs_in(self) -> bool:
        """Whether it is what a token is asked for with, so that none can be at fault."""
        return self.path.startswith("auth/") and self.path.endswith("/login")


def from_silence(fault: requests.RequestException, call: Call, addr: str) -> KeyturnError:
    """Say what an exception of `requests` means for a call."""
    subject, cause = f"Vault at {addr}", _cause(fault)
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return ConfigurationError(
            subject, "its TLS certificate is not trusted", "Set KEYTURN_VAULT__CA_FILE to the certificate of its CA."
        )
    if isinstance(cause, NewConnectionError | ConnectTimeoutError | SSLError):
        return UnavailableError(
            subject, "cannot be reached", "Check that it is running and KEYTURN_VAULT__ADDR is right, then try again."
        )
    return _unanswered(call, subject, "did not answer")


def from_status(response: requests.Response, call: Call, addr: str, policy_file: str) -> Exception:
    """Say what a status that is no success means for a call."""
    subject, status, text = f"Vault at {addr}", response.status_code, response.text.lower()
    if status in _NOT_READY or "primary to upgrade" in text or "upgrading from non-versioned" in text:
        return _not_ready(subject, status, text)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = response.headers.get("Retry-After", "")
        return RateLimitedError(
            subject, "is being asked too often", "Try again later.", float(wait) if wait.isdecimal() else 0.0
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unanswered(call, subject, f"failed ({status})")
    if status == HTTPStatus.FORBIDDEN and call.signs_in:
        return _not_let_in(subject, call)
    if status == HTTPStatus.FORBIDDEN:
        return VendorRefusedError(
            subject,
            f"the token may not {_CAPABILITIES[call.method]} {call.path}, or is no longer valid",
            f"Sign in again, or give its policy that path: compare it with {policy_file}.",
            status,
        )
    return _by_phrase(subject, status, text, call)


def _cause(fault: requests.RequestException) -> object:
    """The exception of urllib3 inside one of `requests`."""
    inner = fault.args[0] if fault.args else None
    return inner.reason if isinstance(inner, MaxRetryError) else inner


def _unanswered(call: Call, subject: str, problem: str) -> KeyturnError:
    what = f"{problem}: {call.method} {call.path}"
    if call.loses_track:
        return AmbiguousError(subject, f"{what}; it may have been done or not", "Try again: keyturn looks first.")
    return UnavailableError(subject, what, "Try again; see Vault's own log if it goes on.")


def _not_ready(subject: str, status: int, text: str) -> UnavailableError:
    if "sealed" in text:
        return UnavailableError(
            subject, "Vault is sealed", "Unseal it with `vault operator unseal`, then try again; nothing is lost."
        )
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return UnavailableError(subject, "Vault is not initialised", "Run `vault operator init` and unseal it.")
    return UnavailableError(subject, f"is on standby or still starting ({status})", "Try again in a few seconds.")


def _not_let_in(subject: str, call: Call) -> VendorRefusedError:
    if "jwt" in (call.body or {}):
        return VendorRefusedError(
            subject,
            f"does not let this pod's service account in at {call.path}",
            "Compare KEYTURN_VAULT__ROLE, the account and the audience of its token with the role at Vault, and see "
            "whether Vault may ask the cluster: deployments/vault/README.md, section 5.",
            HTTPStatus.FORBIDDEN,
        )
    return VendorRefusedError(
        subject,
        f"lets nobody in at {call.path}",
        "See whether AppRole is enabled there (`vault auth list`) and KEYTURN_VAULT__NAMESPACE is right, and Vault's "
        "own log for what else refuses.",
        HTTPStatus.FORBIDDEN,
    )


def _by_phrase(subject: str, status: int, text: str, call: Call) -> Exception:
    for phrase, kind, problem, remedy in _PHRASES:
        if phrase in text:
            names = {"path": call.path, "key": call.path.replace("/hmac/", "/keys/")}
            return kind(subject, problem.format(**names), remedy.format(**names))
    return VendorRefusedError(
        subject, f"refused {call.method} {call.path} ({status})", "See Vault's own log and audit file for the reason."
    )


_PHRASES: tuple[tuple[str, type[Exception], str, str], ...] = (
    ("check-and-set parameter did not match", CasMismatchError, "{path} has a newer version", ""),
    (
        "wrapping token is not valid",
        WrappingTokenUsedError,
        "the wrapping token was opened before, has expired, or never existed; nothing was kept",
        (
            "Treat this as an alert: somebody else may have read the secret. Unless you know it has merely expired, "
            "rotate the secret in Gong, then hand in the new one under a new wrapping token."
        ),
    ),
    (
        "no handler for route",
        ConfigurationError,
        "nothing is mounted for {path}",
        "Check KEYTURN_VAULT__MOUNT and KEYTURN_VAULT__TRANSIT_MOUNT.",
    ),
    ("namespace not found", ConfigurationError, "has no such namespace", "Check KEYTURN_VAULT__NAMESPACE."),
    ("key not found", ConfigurationError, "the key of {path} does not exist", "Make it: `vault write -f {key}`."),
    (
        "unknown role",
        ConfigurationError,
        "the token role of {path} does not exist",
        "Make it as deployments/vault says.",
    ),
    (
        "invalid role name",
        ConfigurationError,
        "{path} knows no role of that name",
        "Set KEYTURN_VAULT__ROLE to one that deployments/vault/README.md makes.",
    ),
    (
        "invalid role or secret id",
        VendorRefusedError,
        "does not accept the AppRole's role id and secret id",
        "Set KEYTURN_VAULT__ROLE_ID and a fresh KEYTURN_VAULT__SECRET_ID: it may have expired or been used up.",
    ),
)
