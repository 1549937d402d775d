"""Waiting for a server's page to answer."""

from __future__ import annotations

import httpx

from keyturn.sandbox.processes import Child


def wait_for_page(child: Child, url: str, within_s: float = 90.0) -> None:
    """Poll until a GET answers 200.

    Raises:
        UnavailableError: the process ended, or does not answer in time.
    """
    with httpx.Client(trust_env=False, timeout=5) as client:
        child.wait_until(lambda: _answers(client, url), within_s)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
