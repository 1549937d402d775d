"""Plain calls to a Vault's HTTP API, for setting one up and trying its policies. keyturn's client is not this one."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from keyturn.errors import UnavailableError, VendorRefusedError

JsonObject = dict[str, Any]


class VaultApi:
    """Calls under one token. Never goes through a proxy: the server is on this machine."""

    def __init__(self, addr: str, token: str = "", ca: Path | None = None) -> None:
        headers = {"X-Vault-Token": token} if token else {}
        verify = ssl.create_default_context(cafile=str(ca)) if ca else False  # False: plain HTTP, nothing to verify
        self._client = httpx.Client(base_url=f"{addr}/v1/", headers=headers, verify=verify, trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def health(self) -> int | None:
        """HTTP status of `sys/health`: 200 active, 429 standby, 501 not initialised, 503 sealed; `None`: no answer."""
        try:
            return self._client.get("sys/health").status_code
        except httpx.TransportError:
            return None

    def read(self, path: str, **headers: str) -> JsonObject:
        """GET. Header names are given with underscores."""
        return self.call("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def write(self, path: str, body: Mapping[str, object] | None = None) -> JsonObject:
        """POST."""
        return self.call("POST", path, body or {})

    def delete(self, path: str) -> JsonObject:
        """DELETE."""
        return self.call("DELETE", path)

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
    ) -> JsonObject:
        """One request; an empty object when the answer has no body.

        Raises:
            VendorRefusedError: it answered 4xx; the problem begins with the status.
            UnavailableError: it answered 5xx, or not at all.
        """
        patch = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        try:
            response = self._client.request(method, path, json=body, headers={**patch, **(headers or {})})
        except httpx.TransportError as error:
            problem = f"gave no answer ({type(error).__name__})"
            raise UnavailableError(
                f"Vault {path}", problem, "Is the sandbox running? See its log of openbao."
            ) from None
        if response.is_server_error:
            raise UnavailableError(
                f"Vault {path}", f"answered {response.status_code}", "See the sandbox's log of openbao."
            )
        if response.is_client_error:
            raise VendorRefusedError(f"Vault {path}", f"{response.status_code} {_errors(response)}")
        answer: JsonObject = response.json() if response.content else {}
        return answer


def _errors(response: httpx.Response) -> str:
    try:
        return "; ".join(response.json().get("errors", []))
    except ValueError:
        return ""
