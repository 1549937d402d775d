"""Calls to one Vault under one identity. hvac has no types, so nothing outside this file touches it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import requests
from hvac.adapters import RawAdapter

from keyturn.clients.vault.failures import Call, from_silence, from_status
from keyturn.clients.vault.sign_in import login
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.settings import VaultAuth, VaultSettings

WORKER_POLICY = "deployments/vault/keyturn-worker.hcl"
OWN_POLICY = f"{WORKER_POLICY}, or the console's with keyturn-console.hcl"
PERSON_POLICY = "deployments/vault/keyturn-gong_admin.hcl"
_RENEW_AT = 0.8  # of a token's life: early enough that it does not run out under a call in flight


class VaultSession:
    """Calls to one Vault under one identity: keyturn's own (token, AppRole or Kubernetes), or a person's token.

    May be shared by threads. A token that was signed in for is replaced before it runs out, and once when Vault says
    it is dead.

    Args:
        token: a person's token; without it keyturn's own sign-in from the settings is used.
        now: seconds on a clock that never goes back.

    Raises:
        ConfigurationError: keyturn's own token is not set, or a token holds what no token can.
    """

    def __init__(
        self, settings: VaultSettings, token: str | None = None, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        if token is None:
            settings.require_sign_in()
        self.addr = str(settings.addr).rstrip("/")
        self._settings, self._now = settings, now
        self._by_role = token is None and settings.auth is not VaultAuth.TOKEN
        self._policy_file = OWN_POLICY if token is None else PERSON_POLICY
        self._token = "" if self._by_role else _sendable(settings.token.get_secret_value() if token is None else token)
        self._renew_at = 0.0
        self._lock = threading.Lock()
        self._http = RawAdapter(
            base_uri=self.addr,
            verify=str(settings.ca_file) if settings.ca_file else True,
            timeout=settings.timeout_s,
            namespace=settings.namespace or None,
        )

    def read(self, path: str, params: Mapping[str, str] | None = None, *, wrap_ttl_s: int = 0) -> dict[str, Any] | None:
        """GET; `None` when there is nothing. A deleted KV version is an answer: its data is `None`."""
        return self._call(Call("GET", path, params=params, wrap_ttl_s=wrap_ttl_s))

    def write(
        self, path: str, body: Mapping[str, Any], *, repeatable: bool = False, token: str | None = None
    ) -> dict[str, Any]:
        """POST, under another token if one is given; an empty dictionary when Vault had nothing to say.

        Raises:
            CasMismatchError: the body's `cas` is not the current version.
            AmbiguousError: no answer came, unless the call is `repeatable`.
        """
        return self._call(Call("POST", path, body, repeatable=repeatable), token) or {}

    def _call(self, call: Call, other: str | None = None) -> dict[str, Any] | None:
        token = self._current() if other is None else _sendable(other)
        response = self._send(call, token)
        if response.status_code == HTTPStatus.FORBIDDEN and other is None and self._is_dead(token):
            response = self._send(call, self._current(rejected=token))
        return self._read(response, call)

    def _current(self, rejected: str | None = None) -> str:
        """The token to use, signing in first where that is due."""
        if not self._by_role:
            return self._token
        with self._lock:
            if not self._token or self._token == rejected or self._now() >= self._renew_at:
                self._sign_in()
            return self._token

    def _sign_in(self) -> None:
        call = login(self._settings)
        auth = (self._read(self._send(call, ""), call) or {})["auth"]
        self._token, life_s = auth["client_token"], auth["lease_duration"]
        self._renew_at = self._now() + life_s * _RENEW_AT if life_s else float("inf")

    def _is_dead(self, token: str) -> bool:
        """A 403 means too few rights or a token that has run out; only a token that is dead cannot see itself."""
        looked = Call("GET", "auth/token/lookup-self")
        return self._by_role and self._send(looked, token).status_code == HTTPStatus.FORBIDDEN

    def _send(self, call: Call, token: str) -> requests.Response:
        try:
            response: requests.Response = self._http.request(
                call.method,
                f"v1/{call.path}",
                headers={"X-Vault-Token": token} if token else {},
                raise_exception=False,
                json=call.body,
                params=call.params,
                wrap_ttl=f"{call.wrap_ttl_s}s" if call.wrap_ttl_s else None,
            )
        except requests.RequestException as fault:
            error = from_silence(fault, call, self.addr)
        else:
            return response
        raise error  # out here, so that the request with its token is not even the error's context

    def _read(self, response: requests.Response, call: Call) -> dict[str, Any] | None:
        missing = response.status_code == HTTPStatus.NOT_FOUND
        answer = _json(response)
        if missing and (answer or {}).get("errors") == []:
            return None
        if not response.ok and not (missing and "data" in (answer or {})):
            raise from_status(response, call, self.addr, self._policy_file)
        if answer is None:
            raise UnavailableError(
                f"Vault at {self.addr}", "something answered that is not Vault", "Check KEYTURN_VAULT__ADDR."
            )
        return answer


def _json(response: requests.Response) -> dict[str, Any] | None:
    """The answer's object: empty for 204, `None` when it is not JSON."""
    if response.status_code == HTTPStatus.NO_CONTENT:
        return {}
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _sendable(token: str) -> str:
    """Refuse what cannot stand in a header; the HTTP library's own complaint would quote the token."""
    if not re.fullmatch(r"[!-~]*", token):
        raise ConfigurationError("Vault token", "holds characters no token has", "Copy it again, without spaces.")
    return token
