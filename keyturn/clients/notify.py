"""Sending notices through Apprise, which knows Slack, Teams, email, webhooks and a hundred more.

https://appriseit.com. Its logger and urllib3's may name a channel's whole address, tokens and all, so both stay silent;
so do its exceptions, of which nothing but the kind is passed on.
"""

from __future__ import annotations

import logging

import apprise

from keyturn.domain.notice import Severity
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.ports import Channel

_LONGEST_CONNECT_S = 10.0
_LONGEST_READ_S = 15.0
_SILENT = logging.CRITICAL + 1
_KIND = {
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.ERROR: apprise.NotifyType.FAILURE,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}


class AppriseNotifier:
    """Implements `keyturn.ports.Notifier`."""

    def send(self, channel: Channel, title: str, body: str, severity: Severity) -> None:
        """Send, once and within bounded time; whether to try again is not decided here.

        Raises:
            ConfigurationError: the URL is none that Apprise can use.
            UnavailableError: it was not taken.
        """
        _quiet()
        target = _target(channel)
        try:
            taken = target.notify(body, title, _KIND[severity], body_format=apprise.NotifyFormat.TEXT)
            problem = "did not take the message"
        except Exception as fault:  # noqa: BLE001  a hundred plugins, and none may stop the others
            taken, problem = False, f"did not take the message ({type(fault).__name__})"
        if not taken:
            # Out here, so that what the plugin raised is not even the error's context.
            raise UnavailableError(
                f"channel {channel.name}",
                problem,
                "Check that its server is up and its URL in Vault still valid, then run `keyturn notify test`.",
            )


def _target(channel: Channel) -> apprise.Apprise:
    asset = apprise.AppriseAsset(app_id="keyturn", app_desc="keyturn", app_url="", async_mode=False)
    server = apprise.Apprise.instantiate(channel.url, asset=asset)
    if server is None:
        raise ConfigurationError(
            f"channel {channel.name}",
            "its URL is none that Apprise can use",
            "Compare it with Apprise's list of services, and correct it in Vault as deployments/vault says.",
        )
    # The URL may ask for other times, for retries of Apprise's own, and for failures to count as success.
    server.socket_connect_timeout = min(server.socket_connect_timeout, _LONGEST_CONNECT_S)
    server.socket_read_timeout = min(server.socket_read_timeout, _LONGEST_READ_S)
    server.retry, server.optional = 0, False
    target = apprise.Apprise(asset=asset)
    target.add(server)
    return target


def _quiet() -> None:
    """At each message, for whoever configures logging later would undo it."""
    logging.getLogger("apprise").setLevel(_SILENT)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
