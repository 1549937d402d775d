"""ID tokens: whether one holds, by its signature and its claims."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError
from joserfc.jws import JWSRegistry

from keyturn.console.sign_in.published import Published

ALLOWED = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures by a key that only the provider has. With `none` or a shared secret anybody could be anybody."""
_LEEWAY_S = 60  # by which clocks may differ
_TYPES = frozenset({None, "JWT", "jwt"})  # an access or logout token of the same provider says that it is one


class BadTokenError(Exception):
    """A token does not hold. Stays inside the console, and says no more than what is wrong in a word or two."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must be about.

    Attributes:
        clients: it must be made for one of these.
        nonce: of the sign-in that it ends; empty for a token that a program sends.
        access_token: that came with it, if one did.
    """

    clients: Collection[str]
    nonce: str = ""
    access_token: str = ""


def verified(token: str, published: Published, expected: Expected, now_s: float) -> Mapping[str, Any]:
    """The claims of a token that holds, at a moment in seconds since 1970.

    Raises:
        BadTokenError: it does not.
        UnavailableError: the provider's keys are not to be had.
    """
    try:
        signed = _decoded(token, published)
        claims = _claims(signed, published.metadata().issuer, expected)
        claims.validate(int(now_s), _LEEWAY_S)
    except ClaimError as error:
        reason = f"{error.error}: {error.claim}"
    except JoseError as error:
        reason = error.error
    except (ValueError, TypeError):
        reason = "not readable"
    else:
        return dict(claims)
    raise BadTokenError(reason)


def _decoded(token: str, published: Published) -> jwt.Token:
    """The token, if its signature is by one of the provider's keys; a key that is not known may be a new one."""
    registry = JWSRegistry(algorithms=ALLOWED, strict_check_header=False)
    try:
        signed = jwt.decode(token, published.keys(), registry=registry)
    except InvalidKeyIdError:
        signed = jwt.decode(token, published.keys(newest=True), registry=registry)
    if signed.header.get("typ") not in _TYPES:
        raise BadTokenError("of another type")
    return signed


def _claims(signed: jwt.Token, issuer: str, expected: Expected) -> CodeIDToken:
    audience = signed.claims.get("aud")
    ours = [client for client in expected.clients if client in (audience if isinstance(audience, list) else [audience])]
    options = {
        "iss": {"essential": True, "value": issuer},
        "sub": {"essential": True},
        "aud": {"essential": True, "values": list(expected.clients)},
    }
    meant = {"client_id": ours[0] if ours else "", "nonce": expected.nonce, "access_token": expected.access_token}
    return CodeIDToken(signed.claims, signed.header, options, meant)
