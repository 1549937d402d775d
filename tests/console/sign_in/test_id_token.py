"""Which tokens hold. All but the forged ones bear the signature of a real provider."""

from __future__ import annotations

import base64
import json
import time as clock
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from keyturn.console.sign_in.id_token import BadTokenError, Expected, verified
from keyturn.console.sign_in.line import Line
from keyturn.console.sign_in.published import Published
from tests.console.sign_in.openid import OpenIdProvider, device_token

CLIENTS = ("keyturn-console", "keyturn-cli")


@pytest.fixture
def published(openid: OpenIdProvider) -> Published:
    """What the provider publishes."""
    return Published(openid.issuer, Line(openid.issuer), clock.monotonic)


def claims(openid: OpenIdProvider, **changes: Any) -> dict[str, Any]:
    """Claims of a good token, changed as told; `None` leaves one out."""
    now = int(clock.time())
    good = {"iss": openid.issuer, "sub": "alice", "aud": "keyturn-cli", "iat": now, "exp": now + 60} | changes
    return {name: value for name, value in good.items() if value is not None}


def held(token: str, published: Published, nonce: str = "") -> Mapping[str, Any]:
    """The claims, if the token holds."""
    return verified(token, published, Expected(CLIENTS, nonce), clock.time())


def why(token: str, published: Published, nonce: str = "") -> str:
    """Why it does not hold."""
    with pytest.raises(BadTokenError) as caught:
        held(token, published, nonce)
    assert token not in str(caught.value)
    return str(caught.value)


def forged(header: dict[str, Any], body: dict[str, Any], signature: str = "") -> str:
    """A token that nobody has signed."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, body)]
    return ".".join([*parts, signature])


def test_a_token_of_the_device_flow_holds(openid: OpenIdProvider, published: Published) -> None:
    """What a command line gets from the provider says who is at it, and in which groups."""
    said = held(device_token(openid, "bob"), published)
    assert (said["sub"], said["aud"]) == ("bob", "keyturn-cli")
    assert said["groups"] == ["keyturn-approver", "staff"]


def test_a_token_for_several_holds_if_we_are_the_party(openid: OpenIdProvider, published: Published) -> None:
    """Of several audiences one is ours, and the authorized party says that it was made for us."""
    token = openid.signed(**claims(openid, aud=["keyturn-cli", "another"], azp="keyturn-cli"))
    assert held(token, published)["sub"] == "alice"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "invalid_claim: aud"),
        ({"aud": []}, "invalid_claim: aud"),
        ({"aud": None}, "missing_claim: aud"),
        ({"aud": ["keyturn-cli", "another"]}, "missing_claim: azp"),
        ({"aud": ["keyturn-cli", "another"], "azp": "another"}, "invalid_claim: azp"),
        ({"azp": "another"}, "invalid_claim: azp"),
        ({"iss": "https://evil.example"}, "invalid_claim: iss"),
        ({"iss": None}, "missing_claim: iss"),
        ({"sub": None}, "missing_claim: sub"),
        ({"sub": ""}, "invalid_claim: sub"),
        ({"sub": 5}, "invalid_claim: sub"),
        ({"exp": 1000}, "expired_token: exp"),
        ({"exp": None}, "missing_claim: exp"),
        ({"exp": "tomorrow"}, "invalid_claim: exp"),
        ({"iat": None}, "missing_claim: iat"),
        ({"iat": 9_999_999_999}, "invalid_claim: iat"),
        ({"nbf": 9_999_999_999}, "invalid_claim: nbf"),
    ],
)
def test_the_providers_signature_is_not_enough(
    openid: OpenIdProvider, published: Published, changes: dict[str, Any], reason: str
) -> None:
    """A token that is for somebody else, by somebody else, about nobody, or of another time does not hold."""
    assert reason.split(": ")[1] in why(openid.signed(**claims(openid, **changes)), published)


@pytest.mark.parametrize(("given", "holds"), [({"nonce": "n"}, True), ({"nonce": "other"}, False), ({}, False)])
def test_a_sign_in_needs_its_own_nonce(
    openid: OpenIdProvider, published: Published, given: dict[str, str], *, holds: bool
) -> None:
    """A token of another sign-in, or of none, does not end this one."""
    token = openid.signed(**claims(openid, **given))
    if holds:
        assert held(token, published, "n")
    else:
        assert "nonce" in why(token, published, "n")


@pytest.mark.parametrize("kind", ["at+jwt", "logout+jwt", "JOSE"])
def test_another_kind_of_token_does_not_hold(openid: OpenIdProvider, published: Published, kind: str) -> None:
    """An access or logout token bears the same signature, and is no sign-in."""
    assert why(openid.signed({"typ": kind}, **claims(openid)), published) == "of another type"


def test_an_unsigned_token_does_not_hold(openid: OpenIdProvider, published: Published) -> None:
    """`none` is no signature, whatever stands in its place."""
    for alg in ("none", "None", "NONE", ""):
        assert "algorithm" in why(forged({"alg": alg}, claims(openid)), published)
    assert why(forged({"typ": "JWT"}, claims(openid)), published)


def test_a_shared_secret_is_no_signature(openid: OpenIdProvider, published: Published) -> None:
    """Neither the provider's public key, taken for a secret, nor any other one signs for it."""
    public = json.dumps(published.keys().as_dict()["keys"][0])
    kid = openid.admin("look")["kid"]
    for secret in (public, "c4n4ry-of-the-shared-secret-of-32b"):
        token = jwt.encode(
            {"alg": "HS256", "kid": kid}, claims(openid), OctKey.import_key(secret), algorithms=["HS256"]
        )
        assert why(token, published) == "unsupported_algorithm"


def test_another_key_of_the_same_name_does_not_sign(openid: OpenIdProvider, published: Published) -> None:
    """A key that merely calls itself the provider's is found out."""
    kid = openid.admin("look")["kid"]
    token = jwt.encode({"alg": "RS256", "kid": kid}, claims(openid), RSAKey.generate_key(2048))
    assert why(token, published) == "bad_signature"


def test_a_key_in_the_token_itself_is_not_used(openid: OpenIdProvider, published: Published) -> None:
    """A token cannot bring along what it is to be checked with."""
    key = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "kid": "mine", "jwk": key.as_dict(private=False)}
    token = jwt.encode(header, claims(openid), key)
    assert why(token, published) == "invalid_key_id"


def test_changed_claims_do_not_hold(openid: OpenIdProvider, published: Published) -> None:
    """A signature is over the very text."""
    head, _, signature = openid.signed(**claims(openid)).split(".")
    changed = forged({}, claims(openid, sub="bob")).split(".")[1]
    assert why(f"{head}.{changed}.{signature}", published) == "bad_signature"


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "e30.e30.", "e30.e30", "\u00e4.\u00e4.\u00e4", "." * 50, "A" * 9000]
)
def test_rubbish_does_not_hold(published: Published, token: str) -> None:
    """Whatever is sent, it is refused in a word or two, and nothing breaks."""
    with pytest.raises(BadTokenError):
        held(token, published)
