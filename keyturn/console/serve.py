"""Runs the console under uvicorn. Any number may run; nothing that matters is in one's memory."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from keyturn.console import premises
from keyturn.console.app import create_app
from keyturn.console.serving import Server
from keyturn.errors import ConfigurationError
from keyturn.settings import ConsoleSettings
from keyturn.wiring import Ports

_LAST_WORDS_S = 5  # for what is under way when the console stops
_BACKLOG = 1024


class PathOnly(logging.Filter):
    """Takes the query out of each line of the access log: what a provider sends a browser back with is in one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the line, and keep it."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                part.partition("?")[0] if isinstance(part, str) and part.startswith("/") else part
                for part in record.args
            )
        return True


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"path_only": {"()": PathOnly}},
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["path_only"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "keyturn": {"level": "INFO"},
    },
}


def serve(ports: Ports, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        ports: with settings that say where to listen.
        started: is told the console's address when it can be reached.

    Raises:
        ConfigurationError: settings that would not be safe, or an address that cannot be listened on.
    """
    console = ports.settings.console
    premises.check_serving(console)
    app = create_app(ports)
    server = Server(app, _config(app, console))
    with _listening(console) as listening, _ending_quietly():
        started(premises.address(console, listening.getsockname()[1]))
        server.run(sockets=[listening])


def _config(app: FastAPI, console: ConsoleSettings) -> uvicorn.Config:
    proxies = premises.proxies(console)
    return uvicorn.Config(
        app,
        log_config=LOGGING,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or "127.0.0.1",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_LAST_WORDS_S,
    )


@contextmanager
def _listening(console: ConsoleSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in console.host else socket.AF_INET
    try:
        listening = socket.create_server((console.host, console.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"{console.host}:{console.port}",
            f"cannot be listened on: {error.strerror or error}",
            "Is a console running there already? Give another --port, or stop what uses this one.",
        ) from None
    with listening:
        yield listening


@contextmanager
def _ending_quietly() -> Iterator[None]:
    """Being told to stop is no failure: uvicorn repeats the signal once it has stopped, when it means nothing more."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
