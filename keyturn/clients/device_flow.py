"""Signing in at an OpenID provider without a browser on this machine: the device flow (RFC 8628).

A person opens an address on any machine and enters a code there; meanwhile this side asks whether they have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from keyturn.clients.answer import presentable
from keyturn.errors import (
    ConfigurationError,
    KeyturnError,
    NotPermittedError,
    UnavailableError,
    VendorRefusedError,
)
from keyturn.settings import SafeUrl

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SCOPES = ("profile", "email", "groups")  # besides openid, if the provider has them
_SLOWER_S = 5.0  # what `slow_down` adds, by RFC 8628 3.5
_SLOWEST_S = 60.0
_TIMEOUT_S = 15.0
_AGAIN = "Run the command again for a new code."
_OTHERWISE = "Sign in to Vault instead, e.g. `vault login -method=userpass username=…`."


class _Metadata(BaseModel):
    """What a provider publishes about itself (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    token_endpoint: SafeUrl
    device_authorization_endpoint: SafeUrl | None = None
    scopes_supported: list[str] = []


class _Code(BaseModel):
    """What a person is to do (RFC 8628 3.2)."""

    device_code: str = Field(repr=False)
    user_code: str
    verification_uri: str
    verification_uri_complete: str = ""
    expires_in: float = Field(gt=0)
    interval: float = Field(default=5.0, gt=0)


_Read = TypeVar("_Read", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class DeviceFlow:
    """A public client of a provider.

    Attributes:
        tell: shows a line to the person.
        now: seconds on a clock that never goes back.
        wire: what carries the requests; httpx's own unless a test has something else.
    """

    issuer: str
    client_id: str
    tell: Callable[[str], None]
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wire: httpx.BaseTransport | None = None

    def id_token(self) -> str:
        """Have the person sign in.

        Raises:
            NotPermittedError: they declined, or took too long.
            ConfigurationError: the provider has no device flow.
            TransientError: it could not be reached, or did not answer.
            VendorRefusedError: it said no for another reason.
        """
        self._require_safe_issuer()
        with httpx.Client(transport=self.wire, timeout=_TIMEOUT_S, headers={"Accept": "application/json"}) as http:
            metadata = self._metadata(http)
            code = self._code(http, metadata)
            self.tell(f"To sign in, open {presentable(code.verification_uri_complete or code.verification_uri)}")
            self.tell(f"and check or enter the code {presentable(code.user_code)}")
            return self._token(http, str(metadata.token_endpoint), code)

    def _require_safe_issuer(self) -> None:
        try:
            TypeAdapter(SafeUrl).validate_python(self.issuer)
        except ValidationError:
            raise ConfigurationError(self.issuer, "is no https address", "Ask whoever runs the console.") from None

    def _metadata(self, http: httpx.Client) -> _Metadata:
        url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        metadata = self._read(_Metadata, self._sent(lambda: http.get(url)))
        if metadata.issuer.rstrip("/") != self.issuer.rstrip("/"):
            raise self._refused(f"says that it is {presentable(metadata.issuer)}")
        return metadata

    def _code(self, http: httpx.Client, metadata: _Metadata) -> _Code:
        endpoint = metadata.device_authorization_endpoint
        if endpoint is None:
            raise ConfigurationError(self.issuer, "offers no device flow", _OTHERWISE)
        offered = [scope for scope in _SCOPES if scope in metadata.scopes_supported]
        form = {"client_id": self.client_id, "scope": " ".join(["openid", *offered])}
        return self._read(_Code, self._sent(lambda: http.post(str(endpoint), data=form)))

    def _token(self, http: httpx.Client, endpoint: str, code: _Code) -> str:
        form = {"grant_type": _GRANT, "device_code": code.device_code, "client_id": self.client_id}
        wait_s, until = code.interval, self.now() + code.expires_in
        while self.now() + wait_s < until:
            self.sleep(wait_s)
            try:
                answer = self._sent(lambda: http.post(endpoint, data=form))
            except UnavailableError:
                wait_s = min(max(wait_s * 2, 1.0), _SLOWEST_S)
                continue
            if answer.status_code == HTTPStatus.OK:
                return self._id_token_of(answer)
            wait_s = self._next_wait_s(_json(answer), wait_s)
        raise NotPermittedError("you", f"did not sign in within {code.expires_in / 60:.0f} minutes", _AGAIN)

    def _next_wait_s(self, said: Mapping[str, Any], wait_s: float) -> float:
        match said.get("error"):
            case "authorization_pending":
                return wait_s
            case "slow_down":
                return wait_s + _SLOWER_S
            case "access_denied":
                raise NotPermittedError("you", "declined to sign in", _AGAIN)
            case "expired_token":
                raise NotPermittedError("you", "did not sign in while the code was good", _AGAIN)
            case reason:
                raise self._refused(f"gave no token: {presentable(str(reason))}")

    def _id_token_of(self, answer: httpx.Response) -> str:
        token = _json(answer).get("id_token")
        if not isinstance(token, str) or not token:
            raise self._refused("gave no ID token")
        return token

    def _read(self, kind: type[_Read], answer: httpx.Response) -> _Read:
        if answer.status_code == HTTPStatus.OK:
            try:
                return kind.model_validate(_json(answer))
            except ValidationError as error:
                where = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
            raise self._refused(f"answered with something unusable: {where}")
        reason = presentable(str(_json(answer).get("error", "no reason given")))
        raise self._refused(f"answered {answer.status_code}: {reason}")

    def _sent(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        try:
            answer = send()
        except httpx.HTTPError as error:
            failure: KeyturnError = UnavailableError(
                self.issuer, f"gives no answer ({type(error).__name__})", "Check the network, then try again."
            )
        else:
            if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                return answer
            failure = UnavailableError(self.issuer, f"failed with {answer.status_code}", "Wait, then try again.")
        raise failure  # out here, so that the request with its code is not even the error's context

    def _refused(self, problem: str) -> VendorRefusedError:
        return VendorRefusedError(self.issuer, problem, f"Ask whoever runs the provider. {_OTHERWISE}")


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
