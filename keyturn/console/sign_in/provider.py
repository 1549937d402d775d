"""The OpenID provider."""

from __future__ import annotations

from keyturn.settings import ConsoleSettings


class Provider:
    """An OpenID provider.

    Attributes:
        origin: scheme, host and port of its sign-out page, for the content security policy; empty when it has none.
    """

    origin = ""


def of(settings: ConsoleSettings) -> Provider | None:
    """The provider that the settings name, or nothing. Nothing is asked of it yet."""
    return Provider() if settings.oidc.issuer else None
