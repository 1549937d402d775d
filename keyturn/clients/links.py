"""Do a manifest's links answer? For `keyturn lint --online`: looks only, sends nothing, keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import httpx

from keyturn.domain.finding import Finding, error, warning

_TIMEOUT_S = 5.0  # for each of connecting, sending and waiting for bytes
_AT_ONCE = 4
_MOST_REDIRECTS = 5
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_AGENT = "keyturn (link check)"


def answering(links: Mapping[str, str], *, timeout_s: float = _TIMEOUT_S) -> list[Finding]:
    """Ask every link once, a few at a time, and report those that lead nowhere.

    Only 404 and 410 are errors: a page may refuse programs and still open for people, so anything else is a warning.

    Args:
        links: by the dotted path of their field, as from `keyturn.domain.lint.links_of`.
        timeout_s: how long one step of an exchange may take, in seconds.

    Returns:
        Findings without lines, in the order of the links.
    """
    client = httpx.Client(
        timeout=timeout_s, follow_redirects=True, max_redirects=_MOST_REDIRECTS, headers={"User-Agent": _AGENT}
    )
    with client, ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        answers = pool.map(lambda item: _finding(client, *item), links.items())
        return [finding for finding in answers if finding is not None]


def _finding(client: httpx.Client, where: str, link: str) -> Finding | None:
    try:
        status = _status(client, link)
    except httpx.TooManyRedirects:
        return warning("link-answers", where, f"{link} redirects in circles", "Give the address it should end at.")
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        message = f"{link} did not answer ({type(fault).__name__})"
        return warning("link-answers", where, message, "Open it in a browser; correct it if it does not open there.")
    if status in _GONE:
        return error("link-answers", where, f"{link} answers {status}", "Publish the page, or correct the link.")
    if status >= HTTPStatus.BAD_REQUEST:
        return warning("link-answers", where, f"{link} answers {status}", "Open it in a browser to see if it is right.")
    return None


def _status(client: httpx.Client, link: str) -> int:
    """Ask with HEAD, and with GET if that was refused, since some servers know only GET. Bodies are not read."""
    status = client.head(link).status_code
    if status < HTTPStatus.BAD_REQUEST:
        return status
    with client.stream("GET", link) as answer:
        return answer.status_code
