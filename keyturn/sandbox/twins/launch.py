"""The part of the command line that both twins share. Secrets come from the environment, never as arguments."""

import argparse
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette

from keyturn.sandbox.twins.serving import server


def parser(vendor: str) -> argparse.ArgumentParser:
    """The arguments of every twin: --port, --state, --option and --verbose."""
    program = f"python -m keyturn.sandbox.twins.{vendor}"
    arguments = argparse.ArgumentParser(prog=program, description=f"Twin of {vendor}")
    arguments.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    arguments.add_argument("--state", type=Path, required=True, metavar="FILE", help="where the twin keeps its state")
    arguments.add_argument("--option", type=pair, action="append", default=[], metavar="NAME=VALUE", help="a switch")
    arguments.add_argument("--verbose", action="store_true", help="log every request to stderr, without query strings")
    return arguments


def pair(text: str) -> tuple[str, str]:
    """Split `name=value`; an argparse type."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, not {text!r}")
    return name, value


def run(command: argparse.ArgumentParser, create: Callable[[], Starlette], port: int, *, verbose: bool) -> None:
    """Create the twin and serve it until interrupted. A wrong option ends with status 2 and a sentence."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    # Only our own lines: a library's INFO (httpx) would log whole URLs.
    logging.getLogger("keyturn.sandbox.twins").setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        app = create()
    except ValidationError as error:
        command.error("; ".join(f"--option {fault['loc'][0]}: {fault['msg']}" for fault in error.errors()))
    with suppress(KeyboardInterrupt):
        server(app, port).run()
