"""The twins of Gong and StackOne as servers of a sandbox."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.sandbox.files import write_private
from keyturn.sandbox.processes import Child, Children, Command, environment
from keyturn.sandbox.readiness import wait_for_page

_STACKONE = "https://api.stackone.com"  # where the redirect URI of every integration leads


@dataclass(frozen=True, slots=True)
class TwinOptions:
    """How the twins behave.

    Attributes:
        client_secret: what the next integration made in the Gong twin gets; by default the twin thinks of one.
        gong: switches of the Gong twin, by name.
        stackone: switches of the StackOne twin, by name.
        webhook_url: where StackOne's events go; `None` for nowhere.
    """

    client_secret: str | None = field(default=None, repr=False)
    gong: Mapping[str, str] = field(default_factory=dict)
    stackone: Mapping[str, str] = field(default_factory=dict)
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class Twins:
    """Both twins, running.

    Attributes:
        gong: address of the Gong twin, its Admin center included.
        stackone: address of the StackOne twin, its API and dashboard included.
        api_key: of the StackOne twin's project.
    """

    gong: str
    stackone: str
    api_key: str = field(repr=False)
    children: tuple[Child, Child]


@dataclass(frozen=True, slots=True)
class Keys:
    """What the StackOne twin's project has, the same at every start.

    Attributes:
        api: its API key.
        webhooks: what its events are signed with.
    """

    api: str = field(repr=False)
    webhooks: str = field(repr=False)

    @classmethod
    def of(cls, state: Path) -> Keys:
        """Those kept in a sandbox's folder, made if there are none."""
        kept = state / "twins.json"
        if not kept.exists():
            made = {name: secrets.token_urlsafe(24) for name in ("TWIN_API_KEY", "TWIN_WEBHOOK_SECRET")}
            write_private(kept, json.dumps(made))
        known: dict[str, str] = json.loads(kept.read_text())
        return cls(known["TWIN_API_KEY"], known["TWIN_WEBHOOK_SECRET"])


def twin_url(port: int) -> str:
    """Address of a twin on this machine."""
    return f"http://127.0.0.1:{port}"


def start_twins(children: Children, gong_port: int, stackone_port: int, options: TwinOptions) -> Twins:
    """Start both; each keeps its state in a file, so they can be resumed.

    Raises:
        UnavailableError: one does not come up.
    """
    gong, stackone = twin_url(gong_port), twin_url(stackone_port)
    keys = Keys.of(children.state)
    secret = {"TWIN_CLIENT_SECRET": options.client_secret} if options.client_secret else {}
    arguments = ["--deliver", f"{_STACKONE}={stackone}", *_switches(options.gong)]
    first = _start(children, "gong", gong_port, arguments, secret)
    webhooks = ["--webhook-url", options.webhook_url] if options.webhook_url else []
    arguments = ["--gong", gong, *webhooks, *_switches(options.stackone)]
    secret = {"TWIN_API_KEY": keys.api, "TWIN_WEBHOOK_SECRET": keys.webhooks}
    second = _start(children, "stackone", stackone_port, arguments, secret)
    for child, url in ((first, gong), (second, stackone)):
        wait_for_page(child, f"{url}/_twin/effects")
    return Twins(gong, stackone, keys.api, (first, second))


def _start(children: Children, name: str, port: int, arguments: list[str], secrets_: Mapping[str, str]) -> Child:
    state = children.state / f"{name}.json"
    argv = [
        sys.executable,
        "-m",
        f"keyturn.sandbox.twins.{name}",
        "--port",
        str(port),
        "--state",
        str(state),
        *arguments,
    ]
    variables = environment(children.state / "home", **secrets_)
    return children.start(Command(f"{name}-twin", argv, variables, children.state / "home"))


def _switches(options: Mapping[str, str]) -> list[str]:
    return [text for name, value in options.items() for text in ("--option", f"{name}={value}")]
