"""The OpenID provider: where people are sent to sign in, and what comes back from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import OAuth2Client

from keyturn.console import premises
from keyturn.console.sign_in.errand import Errand
from keyturn.console.sign_in.id_token import BadTokenError, Expected, verified
from keyturn.console.sign_in.identity import Identities, SignInRefusedError
from keyturn.console.sign_in.line import Line
from keyturn.console.sign_in.published import Metadata, Published
from keyturn.console.visitor import NotSignedInError
from keyturn.domain.gate import Person
from keyturn.settings import ConsoleSettings
from keyturn.wiring import Ports

CALLBACK = "/sign-in/callback"
_SCOPES = ("profile", "email", "groups")  # asked for besides openid, if the provider has them
_AGAIN = "Begin the sign-in again; if it goes on, whoever runs the console finds the reason at the provider."


class Provider:
    """An OpenID provider. Nothing is asked of it before somebody signs in.

    Args:
        settings: with an issuer and the console's own address.
        now: seconds on a clock that never goes back.
        wall: seconds since 1970; what tokens say about time is the provider's time, not that of a sandbox.
    """

    def __init__(
        self,
        settings: ConsoleSettings,
        identities: Identities,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._oidc, self._home, self._wall = settings.oidc, premises.address(settings), wall
        self._identities = identities
        self._issuer = str(settings.oidc.issuer)
        self._line = Line(self._issuer)
        self._published = Published(self._issuer, self._line, now)

    @property
    def name(self) -> str:
        """Its host, for people."""
        return urlsplit(self._issuer).netloc

    @property
    def origin(self) -> str:
        """Where its sign-out page is, as far as that is known without asking, for the content security policy."""
        known = self._published.known
        places = [self._issuer, *([str(known.end_session_endpoint)] if known and known.end_session_endpoint else [])]
        return " ".join(sorted({f"{url.scheme}://{url.netloc}" for url in map(urlsplit, places)}))

    def authorization_url(self, errand: Errand) -> str:
        """Where to send a browser for this sign-in.

        Raises:
            UnavailableError: the provider does not tell.
        """
        metadata = self._published.metadata()
        url, _ = self._client(metadata).create_authorization_url(
            str(metadata.authorization_endpoint),
            state=errand.state,
            code_verifier=errand.verifier,
            nonce=errand.nonce,
        )
        return str(url)

    def person(self, code: str, errand: Errand, issuer: str | None) -> Person:
        """Who signed in there, by the code that came back, and by the issuer that it says it is from (RFC 9207).

        Raises:
            SignInRefusedError: the provider takes the code from nobody, or its ID token does not hold.
            UnavailableError: the provider gives no answer.
        """
        metadata = self._published.metadata()
        if issuer != metadata.issuer and (issuer or metadata.authorization_response_iss_parameter_supported):
            raise SignInRefusedError("this answer", "is from another provider than was asked", _AGAIN)
        given = self._exchanged(metadata, code, errand)
        expected = Expected((self._oidc.client_id,), errand.nonce, str(given.get("access_token") or ""))
        try:
            claims = verified(str(given.get("id_token") or ""), self._published, expected, self._wall())
        except BadTokenError as error:
            problem = f"gave an ID token that does not hold ({error})"
            failure = SignInRefusedError(self._line.subject, problem, _AGAIN)
        else:
            return self._identities.person(claims)
        raise failure

    def bearer(self, token: str) -> Person:
        """Whose ID token it is that a program sends.

        Raises:
            NotSignedInError: it does not hold.
            UnavailableError: the provider gives no answer.
        """
        clients = tuple(filter(None, (self._oidc.client_id, self._oidc.cli_client_id)))
        try:
            claims = verified(token, self._published, Expected(clients), self._wall())
        except BadTokenError as error:
            failure = NotSignedInError(
                "your ID token", f"does not hold ({error})", "Sign in again, and send a new one."
            )
        else:
            return self._identities.person(claims)
        raise failure

    def sign_out_url(self, after: str) -> str | None:
        """Where to end the provider's own session; it leads back to a path of the console's.

        Raises:
            UnavailableError: the provider does not tell.
        """
        endpoint = self._published.metadata().end_session_endpoint
        if endpoint is None:
            return None
        asked = {"client_id": self._oidc.client_id, "post_logout_redirect_uri": f"{self._home}{after}"}
        return f"{endpoint}{'&' if endpoint.query else '?'}{urlencode(asked)}"

    def _exchanged(self, metadata: Metadata, code: str, errand: Errand) -> Mapping[str, Any]:
        try:
            given: Mapping[str, Any] = self._line.told(
                lambda: self._client(metadata).fetch_token(
                    str(metadata.token_endpoint),
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=errand.verifier,
                    **self._proof(metadata),
                )
            )
        except OAuth2Error as error:
            problem = f"did not accept the answer ({presentable(error.error)})"
            failure = SignInRefusedError(self._line.subject, problem, _AGAIN)
        else:
            return given
        raise failure  # out here, so that nothing of the exchange is even the error's context

    def _client(self, metadata: Metadata) -> OAuth2Client:
        offered = [scope for scope in _SCOPES if scope in metadata.scopes_supported]
        return OAuth2Client(
            session=self._line.http,
            client_id=self._oidc.client_id,
            scope=" ".join(["openid", *offered]),
            redirect_uri=f"{self._home}{CALLBACK}",
            code_challenge_method="S256",
        )

    def _proof(self, metadata: Metadata) -> dict[str, Any]:
        """By what the console shows who it is: a header if the provider takes one (RFC 6749 2.3.1), else the form."""
        client_id, secret = self._oidc.client_id, self._oidc.client_secret.get_secret_value()
        if secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            return {"auth": httpx.BasicAuth(quote_plus(client_id), quote_plus(secret))}
        form = {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        return {"auth": httpx.Auth(), **form}


def presentable(code: str | None) -> str:
    """An error code of OAuth's, if it looks like one; whoever makes a browser come here can write anything there."""
    return code if code and len(code) <= 40 and code.replace("_", "").isalpha() and code.isascii() else "no reason"  # noqa: PLR2004


def of(ports: Ports) -> Provider | None:
    """The provider that the settings name, or nothing. Nothing is asked of it yet."""
    console = ports.settings.console
    return Provider(console, Identities(console.oidc, lambda: ports.people)) if console.oidc.issuer else None
