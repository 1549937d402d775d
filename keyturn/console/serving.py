"""uvicorn for the console: it ends the streams before it waits for open connections, so that stopping takes no time."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from keyturn.console.live import streams_of


class Server(uvicorn.Server):
    """A server of the console, not yet started.

    Args:
        app: from `keyturn.console.app.create_app`.
        config: whatever else uvicorn is to know, with that application.
    """

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._console = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: streams end by themselves, and what else is under way is finished."""
        streams_of(self._console).end()
        await super().shutdown(sockets)
