"""The plain way to Prefect's API, for when its settings ask for nothing special: httpx, and no import of Prefect.

Importing Prefect takes a command a second and more, and each of its clients asks for a CSRF token first. So a call goes
out plainly if all that is set is in the environment and understood here. Whatever is unusual is left to Prefect's own
client, which knows profiles and configuration files, CSRF protection, custom headers, redirects, and when to try again.
Decision 0024 says why.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx

URL: Final = "PREFECT_API_URL"
_KEY, _LOGIN, _CA = "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_API_SSL_CERT_FILE"
_TIMEOUT: Final = "PREFECT_API_REQUEST_TIMEOUT"
_PAGES: Final = "PREFECT_UI_URL"
_UNDERSTOOD: Final = frozenset({URL, _KEY, _LOGIN, _CA, _TIMEOUT})
_ABOUT_THE_WAY: Final = ("PREFECT_API_", "PREFECT_CLIENT_", "PREFECT_CLOUD_", "PREFECT_PROFILE")
_FILES: Final = (".env", "prefect.toml", "pyproject.toml")  # https://docs.prefect.io/v3/concepts/settings-and-profiles
_SECONDS: Final = "60"  # Prefect's own default
_FOR_PREFECT: Final = frozenset(
    {
        HTTPStatus.FORBIDDEN,  # a CSRF token is wanted
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Way:
    """Where Prefect's API is, and how to sign.

    Attributes:
        pages: address of Prefect's pages, for people.
        ca_file: what to check its certificate with; empty for the authorities that httpx brings.
    """

    url: str
    pages: str
    headers: Mapping[str, str] = field(repr=False)
    ca_file: str = ""
    timeout_s: float = float(_SECONDS)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response | None:
        """Send one request; `None` if Prefect's own client has to be asked instead, be it once more.

        Raises:
            httpx.ConnectError: nobody is there.
        """
        with httpx.Client(headers=self.headers, timeout=self.timeout_s, verify=self._verify()) as http:
            try:
                answer = http.request(method, self.url + path, json=body)
            except httpx.ConnectError:
                raise
            except httpx.TransportError:
                return None
        return None if answer.is_redirect or answer.status_code in _FOR_PREFECT else answer

    def _verify(self) -> ssl.SSLContext | bool:
        """A TLS context takes its time, and plain HTTP has no use for one."""
        if not self.url.startswith("https:"):
            return False
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else True


def plain_way(environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> Way | None:
    """The plain way, if all that is set is known and understood; read anew each time, since it costs nothing.

    Args:
        environ: the environment.
        folder: where Prefect looks for configuration files; the working directory if not given.
    """
    url, timeout_s = environ.get(URL, ""), environ.get(_TIMEOUT, _SECONDS)
    if not url or "prefect.cloud" in url or not timeout_s.replace(".", "", 1).isdigit():
        return None
    if _has_more(environ) or _has_files(environ, folder or Path.cwd()):
        return None
    return Way(
        url.rstrip("/"),
        environ.get(_PAGES) or url.rstrip("/").removesuffix("/api"),
        {"User-Agent": "keyturn", **_signature(environ.get(_LOGIN, ""), environ.get(_KEY, ""))},
        environ.get(_CA, ""),
        float(timeout_s),
    )


def _signature(login: str, key: str) -> Mapping[str, str]:
    """As Prefect's own client signs: the login goes before the key."""
    if login:
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {"Authorization": f"Bearer {key}"} if key else {}


def _has_more(environ: Mapping[str, str]) -> bool:
    """Whether something is set about the way that is not understood here. Prefect does not mind upper or lower case."""
    return any(name.upper().startswith(_ABOUT_THE_WAY) and name not in _UNDERSTOOD for name in environ)


def _has_files(environ: Mapping[str, str], folder: Path) -> bool:
    """Whether Prefect would read settings from a file: a profile, or one in the working directory."""
    home = environ.get("PREFECT_HOME") or f"{environ.get('HOME', '~')}/.prefect"
    if Path(home).expanduser().joinpath("profiles.toml").exists():
        return True
    return any(_mentions_prefect(folder / name) for name in _FILES)


def _mentions_prefect(file: Path) -> bool:
    try:
        text = file.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return False
    return "prefect_" in text or "[tool.prefect" in text or file.name == "prefect.toml"
