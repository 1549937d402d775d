"""What the settings must say before the console may run."""

from __future__ import annotations

import pytest

from keyturn import settings
from keyturn.console import premises
from keyturn.errors import ConfigurationError
from keyturn.settings import LOOPBACK, ConsoleSettings

OIDC = {
    "OIDC__ISSUER": "https://id.example",
    "OIDC__CLIENT_ID": "keyturn-console",
    "URL": "https://console.example",
    "TRUSTED_PROXIES": "10.0.0.7",
}
LINKS = {"SIGN_IN_LINKS": "true"}


def console(**variables: str) -> ConsoleSettings:
    """Settings of the console, by variables without their prefix."""
    return settings.load({f"KEYTURN_CONSOLE__{name}": value for name, value in variables.items()}).console


@pytest.mark.parametrize(
    "variables",
    [OIDC, OIDC | {"TRUSTED_PROXIES": "nobody"},
     OIDC | LINKS | {"URL": "http://localhost:8400", "TRUSTED_PROXIES": "", "OIDC__VAULT_ACCESSOR": "auth_oidc_1"},
     LINKS, LINKS | {"HOST": "::1"}, LINKS | {"URL": "http://localhost:8400"}, OIDC | {"HOST": "0.0.0.0"},  # noqa: S104
     OIDC | {"TRUSTED_PROXIES": "10.0.0.7, 10.1.0.0/16,fd00::/8"}],
)  # fmt: skip
def test_safe_settings_are_served(variables: dict[str, str]) -> None:
    """A provider behind a proxy with a certificate, or links on this machine alone."""
    premises.check_serving(console(**variables))


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        (LINKS | {"HOST": "0.0.0.0"}, "SIGN_IN_LINKS: is on, but the console listens on 0.0.0.0"),  # noqa: S104
        (LINKS | {"HOST": "10.0.0.8"}, "SIGN_IN_LINKS: is on, but the console listens on 10.0.0.8"),
        (LINKS | {"HOST": "console.example"}, "SIGN_IN_LINKS: is on, but the console listens on console.example"),
        (LINKS | {"URL": "https://console.example"}, "SIGN_IN_LINKS: is on, but browsers reach it as console.example"),
        (LINKS | {"TRUSTED_PROXIES": "127.0.0.1"}, "SIGN_IN_LINKS: is on, but proxies are trusted"),
        (
            OIDC | LINKS | {"OIDC__VAULT_ACCESSOR": "auth_oidc_1"},
            "SIGN_IN_LINKS: is on, but browsers reach it as console.example",
        ),
        (OIDC | LINKS | {"URL": "http://localhost:8400"}, "SIGN_IN_LINKS: is on beside an OpenID provider"),
        (OIDC | {"OIDC__CLIENT_ID": ""}, "OIDC__CLIENT_ID: is not set"),
        (OIDC | {"URL": ""}, "KEYTURN_CONSOLE__URL: is not set"),
        (OIDC | {"TRUSTED_PROXIES": "*"}, r"TRUSTED_PROXIES: \* is neither an address nor a network"),
        (OIDC | {"TRUSTED_PROXIES": "10.0.0.1/16"}, "TRUSTED_PROXIES: 10.0.0.1/16 is neither"),
    ],
)
def test_unsafe_settings_make_no_console(variables: dict[str, str], why: str) -> None:
    """What is not safe together is refused wherever a console is made, in a sentence that names the setting."""
    with pytest.raises(ConfigurationError, match=why):
        premises.check(console(**variables))


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "console: nobody could sign in"),
        (OIDC | {"HOST": "0.0.0.0", "URL": "http://localhost:8400"}, "HOST: is 0.0.0.0"),  # noqa: S104
        (OIDC | {"HOST": "10.0.0.8", "URL": "http://127.0.0.1"}, "HOST: is 10.0.0.8"),
        (OIDC | {"TRUSTED_PROXIES": " "}, "TRUSTED_PROXIES: is not set, but browsers come by https"),
    ],
)
def test_some_settings_are_not_served(variables: dict[str, str], why: str) -> None:
    """Nobody listens where nobody could sign in, or where what is typed would travel in clear."""
    premises.check(console(**variables))
    with pytest.raises(ConfigurationError, match=why):
        premises.check_serving(console(**variables))


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"URL": "https://console.example/"}, "https://console.example"),
        ({}, "http://127.0.0.1:8400"),
        ({"HOST": "::1", "PORT": "9"}, "http://[::1]:9"),
    ],
)
def test_the_address_is_the_one_that_browsers_use(variables: dict[str, str], address: str) -> None:
    """It is what the settings say, or else what the console listens on."""
    assert premises.address(console(**variables)) == address


@pytest.mark.parametrize(("host", "served"), [("127.0.0.2", "127.0.0.2"), ("::1", "[::1]"), ("127.0.0.1", "127.0.0.1")])
def test_what_is_listened_on_is_served(host: str, served: str) -> None:
    """Any address of this machine that the console listens on is one that a request may be for; no other is added."""
    assert premises.hosts(console(**LINKS, HOST=host)) == LOOPBACK | {served}
    assert premises.hosts(console(**OIDC, HOST=host)) == {"console.example"}
    assert premises.hosts(console(HOST="10.0.0.8")) == LOOPBACK


@pytest.mark.parametrize(
    ("host", "near"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("localhost", True), ("", False),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.evil.example", False)],  # noqa: S104
)  # fmt: skip
def test_only_this_very_machine_is_near(host: str, *, near: bool) -> None:
    """Addresses and names that lead elsewhere, or may, are not loopback."""
    assert premises.is_loopback(host) is near
