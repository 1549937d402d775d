"""A real OpenID provider for the tests (the npm package oidc-provider), and a browser to go there with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent / "provider"
SECRET = "secret-of-the-console-at-the-provider"
ACCOUNTS = {
    "alice": {"preferred_username": "alice", "groups": ["keyturn-requester", "keyturn-operator"]},
    "bob": {"preferred_username": "bob", "groups": ["keyturn-approver", "staff"]},
    "grace": {"preferred_username": "grace", "groups": ["gong-people"]},
    "mallory": {"preferred_username": "mallory", "groups": ["staff"]},
}


@dataclass
class OpenIdProvider:
    """A running provider.

    Attributes:
        issuer: its address.
    """

    issuer: str
    http: httpx.Client = field(repr=False)

    def admin(self, what: str, **more: Any) -> dict[str, Any]:
        """Change something behind its back."""
        answer: dict[str, Any] = self.http.post(f"{self.issuer}/admin/{what}", json=more).raise_for_status().json()
        return answer

    def reset(self) -> None:
        """Undo what a test has changed."""
        self.admin("set", accounts=ACCOUNTS, idTokenLifeS=300, shiftMs=0, signedOut=0)

    def signed(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token with these claims that bears the provider's own signature, whatever it says."""
        return str(self.admin("sign", header=header or {}, claims=claims)["token"])

    def variables(self) -> dict[str, str]:
        """The settings of a console that trusts it, without their prefix."""
        return {
            "CONSOLE__OIDC__ISSUER": self.issuer,
            "CONSOLE__OIDC__CLIENT_ID": "keyturn-console",
            "CONSOLE__OIDC__CLIENT_SECRET": SECRET,
            "CONSOLE__OIDC__CLI_CLIENT_ID": "keyturn-cli",
            "CONSOLE__OIDC__ROLES": json.dumps({"gong-people": "gong_admin"}),
        }

    def browser(self) -> httpx.Client:
        """A browser that has never been here."""
        return httpx.Client(follow_redirects=False)


def sign_in(browser: httpx.Client, url: str, account: str, home: str) -> str:
    """Go where the console sends a browser, say who one is if asked, and give where the provider sends it back to."""
    answer = browser.get(url)
    while not answer.headers.get("location", "").startswith(home):
        if answer.is_redirect:
            answer = browser.get(answer.url.join(answer.headers["location"]))
        else:
            assert "Who are you?" in answer.text, answer.text
            answer = browser.post(answer.url, data={"account": account})
    return str(answer.headers["location"])


def confirm_sign_out(browser: httpx.Client, url: str) -> str:
    """Go where the console sends a browser after sign-out, and say yes; gives where the provider sends it back to."""
    page = browser.get(url)
    action = re.search(r'action="([^"]+)"', page.text)
    assert action, page.text
    answer = browser.post(page.url.join(action[1]), data=_form(page.text) | {"logout": "yes"})
    return str(answer.headers["location"])


def device_token(provider: OpenIdProvider, account: str) -> str:
    """An ID token of the command line's, by the device flow (RFC 8628)."""
    client = {"client_id": "keyturn-cli"}
    with provider.browser() as browser:
        asked = browser.post(f"{provider.issuer}/device/auth", data=client | {"scope": "openid profile groups"}).json()
        page = _through(browser, asked["verification_uri_complete"], account)
        for _ in range(2):  # the code, then whether it is really this device
            if "<form" in page.text:
                page = _through(browser, str(page.url), account, _form(page.text))
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": asked["device_code"]}
        answer = browser.post(f"{provider.issuer}/token", data=client | grant).raise_for_status().json()
    return str(answer["id_token"])


def _through(browser: httpx.Client, url: str, account: str, form: Mapping[str, str] | None = None) -> httpx.Response:
    answer = browser.post(url.partition("?")[0], data=form) if form else browser.get(url)
    while answer.is_redirect or "Who are you?" in answer.text:
        if answer.is_redirect:
            answer = browser.get(answer.url.join(answer.headers["location"]))
        else:
            answer = browser.post(answer.url, data={"account": account})
    return answer


def _form(html: str) -> dict[str, str]:
    inputs = [tag for tag in re.findall(r"<input[^>]*>", html) if 'type="hidden"' in tag or 'name="user_code"' in tag]
    found = [(re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)) for tag in inputs]
    return {name[1]: value[1] for name, value in found if name and value}


@contextlib.contextmanager
def running(port: int, origins: list[str], log: Path) -> Iterator[OpenIdProvider]:
    """Run a provider for consoles at these addresses."""
    issuer = f"http://127.0.0.1:{port}"
    given = {"port": port, "origins": origins, "secret": SECRET, "accounts": ACCOUNTS}
    argv = ["node", str(HERE / "provider.mjs"), str(_modules()), json.dumps(given)]
    with log.open("wb") as to, subprocess.Popen(argv, stdout=to, stderr=subprocess.STDOUT) as process:
        try:
            with httpx.Client() as http:
                _wait(process, http, issuer, log)
                yield OpenIdProvider(issuer, http)
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], http: httpx.Client, issuer: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            http.get(f"{issuer}/.well-known/openid-configuration").raise_for_status()
            return
        time.sleep(0.05)  # between two looks: a server that starts tells nobody when it listens
    raise RuntimeError(log.read_text())


def _modules() -> Path:
    """Where the package is: installed once beside this Python, exactly as the lock beside `provider.mjs` has it."""
    locked = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    kept = Path(sys.prefix) / "npm" / f"oidc-provider-{locked[:12]}"
    if not (kept / "node_modules").is_dir():
        _install(kept)
    return kept / "node_modules"


def _install(kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=kept.parent))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, new)
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--omit=dev"]
    subprocess.run(["npm", "ci", *quiet], cwd=new, check=True, capture_output=True, timeout=240)
    with contextlib.suppress(OSError):  # somebody else was faster
        new.rename(kept)
    shutil.rmtree(new, ignore_errors=True)
