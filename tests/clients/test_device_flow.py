from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from keyturn.clients.device_flow import DeviceFlow
from keyturn.errors import ConfigurationError, KeyturnError, NotPermittedError, UnavailableError, VendorRefusedError

ISSUER = "https://provider.example/realm"
CODE = "the-device-code-which-is-a-secret"
PENDING, SLOW = {"error": "authorization_pending"}, {"error": "slow_down"}
Reply = dict[str, Any] | int | type[Exception]


@dataclass
class Provider:
    """A provider that follows a script, and a clock that moves when somebody sleeps.

    Attributes:
        replies: of the token endpoint, one after the other; the last one again and again.
        metadata: what it publishes, besides or instead of the usual.
    """

    replies: list[Reply]
    metadata: dict[str, Any] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)
    now_s: float = 100.0
    slept: list[float] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now_s += seconds

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What it says."""
        if request.url.path.endswith("/.well-known/openid-configuration"):
            usual = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", "scopes_supported": ["openid", "groups"]}
            return httpx.Response(
                200, json=usual | {"device_authorization_endpoint": f"{ISSUER}/device"} | self.metadata
            )
        self.asked.append({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        if request.url.path.endswith("/device"):
            return httpx.Response(200, json={
                "device_code": CODE, "user_code": "WDJB-MJHT", "verification_uri": f"{ISSUER}/activate",
                "expires_in": 600, "interval": 5,
            } | self.code)  # fmt: skip
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, int):
            return httpx.Response(reply)
        if isinstance(reply, dict):
            return httpx.Response(400 if "error" in reply else 200, json=reply)
        raise reply("no route to host")

    def flow(self) -> DeviceFlow:
        """A client of it."""
        wire = httpx.MockTransport(self.answer)
        return DeviceFlow(ISSUER, "keyturn-cli", self.told.append, lambda: self.now_s, self.sleep, wire)


def test_a_person_signs_in_elsewhere() -> None:
    """They are told where and with which code; meanwhile the provider is asked as often as it wishes, not oftener."""
    provider = Provider([PENDING, SLOW, PENDING, {"id_token": "a.b.c"}])
    assert provider.flow().id_token() == "a.b.c"
    assert provider.told == [f"To sign in, open {ISSUER}/activate", "and check or enter the code WDJB-MJHT"]
    assert provider.slept == [5, 5, 10, 10]
    assert provider.asked[0] == {"client_id": "keyturn-cli", "scope": "openid groups"}
    assert provider.asked[1] == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": CODE,
        "client_id": "keyturn-cli",
    }


def test_an_address_with_the_code_in_it_is_shown_instead() -> None:
    """Then there is less to type; the code is shown all the same, so that it can be compared."""
    provider = Provider([{"id_token": "a.b.c"}], code={"verification_uri_complete": f"{ISSUER}/activate?c=WDJB-MJHT"})
    provider.flow().id_token()
    assert provider.told[0].endswith("/activate?c=WDJB-MJHT")
    assert provider.told[1].endswith("WDJB-MJHT")


def test_a_provider_that_is_away_for_a_while() -> None:
    """It is asked again, at growing intervals (RFC 8628 3.5)."""
    provider = Provider([httpx.ConnectError, 503, httpx.ReadTimeout, {"id_token": "a.b.c"}])
    assert provider.flow().id_token() == "a.b.c"
    assert provider.slept == [5, 10, 20, 40]


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        ({"error": "access_denied"}, NotPermittedError, "declined"),
        ({"error": "expired_token"}, NotPermittedError, "while the code was good"),
        (PENDING, NotPermittedError, "within 10 minutes"),
        (httpx.ConnectError, NotPermittedError, "within 10 minutes"),
        ({"error": "invalid_client"}, VendorRefusedError, "invalid_client"),
        ({"access_token": "only that"}, VendorRefusedError, "no ID token"),
        ({"error": "\x1b[2Jinvalid"}, VendorRefusedError, r" \[2Jinvalid"),
    ],
)
def test_what_can_become_of_it(reply: Reply, kind: type[KeyturnError], says: str) -> None:
    """Each end has a sentence of its own, and none repeats the device code."""
    provider = Provider([reply])
    with pytest.raises(kind, match=says) as raised:
        provider.flow().id_token()
    assert CODE not in f"{raised.value!r} {raised.value.__context__!r}"
    assert provider.now_s <= 700


@pytest.mark.parametrize(
    ("metadata", "kind", "says"),
    [
        ({"issuer": "https://elsewhere.example"}, VendorRefusedError, "says that it is"),
        ({"device_authorization_endpoint": None}, ConfigurationError, "no device flow"),
        ({"token_endpoint": "http://provider.example/token"}, VendorRefusedError, "token_endpoint"),
        ({"device_authorization_endpoint": "http://10.0.0.1/"}, VendorRefusedError, "device_authorization_endpoint"),
        ({"token_endpoint": 17}, VendorRefusedError, "token_endpoint"),
    ],
)
def test_a_provider_that_will_not_do(metadata: dict[str, Any], kind: type[KeyturnError], says: str) -> None:
    """Codes and tokens travel by https only, and to nobody but the issuer that the console named."""
    with pytest.raises(kind, match=says):
        Provider([PENDING], metadata).flow().id_token()


def test_a_provider_without_encryption_is_asked_nothing() -> None:
    """Whoever listens in could lead the person somewhere else."""
    provider = Provider([PENDING])
    flow = replace(provider.flow(), issuer="http://provider.example")
    with pytest.raises(ConfigurationError, match="no https address"):
        flow.id_token()
    assert (provider.asked, provider.told) == ([], [])


def test_a_provider_that_cannot_be_reached() -> None:
    """That is exit code 3, and nobody is told to open anything."""

    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route to host")

    told: list[str] = []
    with pytest.raises(UnavailableError):
        DeviceFlow(ISSUER, "keyturn-cli", told.append, wire=httpx.MockTransport(away)).id_token()
    assert told == []
