"""What the settings must say before the console may run, and for which hosts it answers."""

from __future__ import annotations

import ipaddress

from keyturn.errors import ConfigurationError
from keyturn.settings import LOOPBACK, ConsoleSettings

_CONSOLE = "KEYTURN_CONSOLE__"
NO_PROXIES = "nobody"


def check(settings: ConsoleSettings) -> None:
    """Refuse settings that would not be safe together, wherever the console is made.

    Raises:
        ConfigurationError: it names the setting and what to do.
    """
    _check_proxies(proxies(settings))
    if settings.oidc.issuer:
        _check_provider(settings)
        _check_one_identity(settings)
    if settings.sign_in_links:
        _check_links(settings)


def check_serving(settings: ConsoleSettings) -> None:
    """Refuse to listen where nobody could sign in, or where anybody could listen in.

    Raises:
        ConfigurationError: it names the setting and what to do.
    """
    check(settings)
    if not settings.oidc.issuer and not settings.sign_in_links:
        raise ConfigurationError(
            "console",
            "nobody could sign in",
            f"Set {_CONSOLE}OIDC__ISSUER, or on your own machine {_CONSOLE}SIGN_IN_LINKS=true.",
        )
    if not is_loopback(settings.host) and (settings.url is None or settings.url.scheme != "https"):
        raise ConfigurationError(
            f"{_CONSOLE}HOST",
            f"is {settings.host or 'every address'}, and browsers would not come by https",
            f"Put a proxy with a certificate in front and set {_CONSOLE}URL to its https address, or use 127.0.0.1.",
        )

    if settings.url and settings.url.scheme == "https" and not settings.trusted_proxies.strip():
        raise ConfigurationError(
            f"{_CONSOLE}TRUSTED_PROXIES",
            "is not set, but browsers come by https, so there is a proxy, and everybody would seem to come from it",
            f"Set it to the proxy's address; or to `{NO_PROXIES}`, and all share the limits of one client.",
        )


def proxies(settings: ConsoleSettings) -> str:
    """Whose word counts about where a request comes from; nobody's if it is empty."""
    said = settings.trusted_proxies.strip()
    return "" if said == NO_PROXIES else said


def hosts(settings: ConsoleSettings) -> frozenset[str]:
    """The host names that a request may be for; another one is somebody else's name that leads here."""
    if settings.url:
        return frozenset({settings.url.host or ""})
    return LOOPBACK | ({_in_url(settings.host)} if is_loopback(settings.host) else frozenset())


def address(settings: ConsoleSettings, port: int | None = None) -> str:
    """Where browsers reach the console, without a slash at the end.

    Args:
        settings: with an address, or with what it listens on.
        port: the one that it listens on, if that is not as in the settings.
    """
    if settings.url:
        return str(settings.url).rstrip("/")
    return f"http://{_in_url(settings.host)}:{port or settings.port}"


def is_loopback(host: str) -> bool:
    """Whether a host or an address of a client is this very machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_provider(settings: ConsoleSettings) -> None:
    needed = {"OIDC__CLIENT_ID": settings.oidc.client_id, "URL": settings.url}
    for name, value in needed.items():
        if not value:
            raise ConfigurationError(
                f"{_CONSOLE}{name}",
                "is not set",
                "It is needed for sign-in at an OpenID provider, as registered there.",
            )


def _check_one_identity(settings: ConsoleSettings) -> None:
    """With links somebody is who Vault says, at a provider who that says: one human must not be two."""
    if settings.sign_in_links and not settings.oidc.vault_accessor:
        raise ConfigurationError(
            f"{_CONSOLE}SIGN_IN_LINKS",
            "is on beside an OpenID provider, so one human could be two people, who approve each other's requests",
            f"Turn it off, or set {_CONSOLE}OIDC__VAULT_ACCESSOR.",
        )


def _check_links(settings: ConsoleSettings) -> None:
    """Whoever holds such a link is in, so it must not leave the machine."""
    if reason := _why_not_alone(settings):
        raise ConfigurationError(
            f"{_CONSOLE}SIGN_IN_LINKS",
            f"is on, but {reason}",
            "Turn it off and have people sign in at an OpenID provider, or keep the console on 127.0.0.1.",
        )


def _why_not_alone(settings: ConsoleSettings) -> str:
    if not is_loopback(settings.host):
        return f"the console listens on {settings.host or 'every address'}"
    if settings.url and not is_loopback(settings.url.host or ""):
        return f"browsers reach it as {settings.url.host}"
    return "proxies are trusted, so requests may come from elsewhere" if proxies(settings) else ""


def _check_proxies(text: str) -> None:
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            ipaddress.ip_network(part)
        except ValueError:
            raise ConfigurationError(
                f"{_CONSOLE}TRUSTED_PROXIES",
                f"{part} is neither an address nor a network",
                "Name each proxy, e.g. 10.0.0.7 or 10.1.0.0/16; whoever is named may say who a client is.",
            ) from None
