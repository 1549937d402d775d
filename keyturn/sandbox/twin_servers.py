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
    """

    client_secret: str | None = field(default=None, repr=False)
    gong: Mapping[str, str] = field(default_factory=dict)
    stackone: Mapping[str, str] = field(default_factory=dict)


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


def start_twins(children: Children, gong_port: int, stackone_port: int, options: TwinOptions) -> Twins:
    """Start both; each keeps its state in a file, so they can be resumed.

    Raises:
        UnavailableError: one does not come up.
    """
    gong, stackone = f"http://127.0.0.1:{gong_port}", f"http://127.0.0.1:{stackone_port}"
    keys = _keys(children.state / "twins.json")
    secret = {"TWIN_CLIENT_SECRET": options.client_secret} if options.client_secret else {}
    arguments = ["--deliver", f"{_STACKONE}={stackone}", *_switches(options.gong)]
    first = _start(children, "gong", gong_port, arguments, secret)
    second = _start(children, "stackone", stackone_port, ["--gong", gong, *_switches(options.stackone)], keys)
    for child, url in ((first, gong), (second, stackone)):
        wait_for_page(child, f"{url}/_twin/effects")
    return Twins(gong, stackone, keys["TWIN_API_KEY"], (first, second))


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


def _keys(kept: Path) -> dict[str, str]:
    if not kept.exists():
        keys = {name: secrets.token_urlsafe(24) for name in ("TWIN_API_KEY", "TWIN_WEBHOOK_SECRET")}
        write_private(kept, json.dumps(keys))
    known: dict[str, str] = json.loads(kept.read_text())
    return known
