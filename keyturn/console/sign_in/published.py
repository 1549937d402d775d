"""What an OpenID provider publishes about itself: its endpoints (OpenID Connect Discovery 1.0) and its keys."""

from __future__ import annotations

from collections.abc import Callable

from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, ValidationError

from keyturn.console.sign_in.kept import Kept
from keyturn.console.sign_in.line import Line
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.settings import SafeUrl

_WELL_KNOWN = "/.well-known/openid-configuration"


class Metadata(BaseModel):
    """What is used of https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    issuer: str
    authorization_endpoint: SafeUrl
    token_endpoint: SafeUrl
    jwks_uri: SafeUrl
    end_session_endpoint: SafeUrl | None = None
    scopes_supported: tuple[str, ...] = ("profile",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Published:
    """A provider's endpoints and keys, looked at once an hour, and the keys at once when there is a new one.

    Args:
        issuer: from the settings.
        now: seconds on a clock that never goes back.
    """

    def __init__(self, issuer: str, line: Line, now: Callable[[], float]) -> None:
        self._issuer, self._line = issuer.rstrip("/"), line
        self._metadata, self._keys = Kept(self._discover, now), Kept(self._fetch_keys, now)

    @property
    def known(self) -> Metadata | None:
        """Its endpoints, if they have been looked at."""
        return self._metadata.known

    def metadata(self) -> Metadata:
        """Its endpoints.

        Raises:
            UnavailableError: the provider does not tell.
            ConfigurationError: it is another one than the settings say.
        """
        return self._metadata.get()

    def keys(self, *, newest: bool = False) -> KeySet:
        """What it signs with.

        Args:
            newest: look again, since a signature names a key that is not among those known.

        Raises:
            UnavailableError: the provider does not tell.
        """
        return self._keys.newest() if newest else self._keys.get()

    def _discover(self) -> Metadata:
        document = self._line.read(f"{self._issuer}{_WELL_KNOWN}")
        try:
            metadata = Metadata.model_validate(document)
        except ValidationError as error:
            wrong = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors()}))
            problem, remedy = f"publishes no usable {wrong}", "Is KEYTURN_CONSOLE__OIDC__ISSUER an OpenID provider?"
            raise UnavailableError(self._line.subject, problem, remedy) from None
        if metadata.issuer.rstrip("/") != self._issuer:
            raise ConfigurationError(
                self._line.subject,
                "says that it is another issuer than KEYTURN_CONSOLE__OIDC__ISSUER",
                "Set it to the issuer exactly as the provider's own document has it.",
            )
        return metadata

    def _fetch_keys(self) -> KeySet:
        document = self._line.read(str(self.metadata().jwks_uri))
        try:
            return KeySet.import_key_set({"keys": document["keys"]})
        except (JoseError, KeyError, TypeError, ValueError):
            failure = UnavailableError(self._line.subject, "publishes no keys that can be used", "Look at its log.")
        raise failure
