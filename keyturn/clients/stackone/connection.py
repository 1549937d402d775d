"""How StackOne is reached: HTTP Basic with the API key as user name and an empty password."""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping
from typing import Final

import httpx

from keyturn.clients.budget import Budget
from keyturn.clients.transport import Count, Transport, Vendor, uncounted
from keyturn.errors import ConfigurationError
from keyturn.ports import Clock, Slots
from keyturn.settings import StackOneSettings

REMEDIES: Final[Mapping[int, str]] = {
    400: "StackOne does not accept what keyturn sent. Compare the manifest with the message.",
    401: "The API key is wrong, revoked or cut off. Set KEYTURN_STACKONE__API_KEY to a key of this project and region.",
    403: (
        "The API key lacks a scope: it needs Platform API (read and write) and Actions (execute). "
        "If it has both, something on the way removes the User-Agent, without which StackOne refuses."
    ),
    404: "It does not exist in the project that the API key belongs to. Check project and region (base URL).",
    409: "StackOne sees a conflict with what exists. Look at the profile or account in its dashboard.",
    412: "The Connector Profile is disabled, so its accounts do not work. Enable it in StackOne.",
    422: "StackOne understood the request and rejects a value. Compare the manifest with the message.",
}


def connect(
    settings: StackOneSettings,
    clock: Clock,
    wire: httpx.BaseTransport | None = None,
    *,
    count: Count = uncounted,
    slots: Slots | None = None,
) -> Transport:
    """A transport for the project that the API key belongs to.

    Its budget is shared with whoever takes calls from the same `slots`; without them it is the transport's own.
    """
    key = settings.api_key.get_secret_value()
    basic = base64.b64encode(f"{key}:".encode()).decode()
    hidden = (key, basic) if key else ()
    vendor = Vendor("StackOne", str(settings.base_url), ApiKey(key), hidden, REMEDIES)
    return Transport(vendor, Budget.stackone(settings, clock, slots), clock, wire, count=count)


class ApiKey(httpx.BasicAuth):
    """Signs with the API key; says so if there is none, at the first call and not before."""

    def __init__(self, key: str) -> None:
        super().__init__(key, "")
        self._missing = not key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign one request.

        Raises:
            ConfigurationError: there is no key.
        """
        if self._missing:
            remedy = (
                "Make a key in StackOne with the scopes Platform API and Actions, and set KEYTURN_STACKONE__API_KEY."
            )
            raise ConfigurationError("stackone.api_key", "is not set", remedy)
        yield from super().auth_flow(request)
