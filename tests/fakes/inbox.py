"""Where messages arrive: a real HTTP receiver, for channels like `json://127.0.0.1:…/`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Inbox:
    """What was received, by path.

    Attributes:
        status: answered from now on; a message that is not answered with 200 is not taken.
        asked: how many messages came, taken or not.
    """

    port: int = 0
    status: int = 200
    asked: int = 0
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def url(self, path: str = "") -> str:
        """An Apprise URL that leads here."""
        return f"json://127.0.0.1:{self.port}/{path}"

    def titles(self, path: str = "") -> list[str]:
        """The titles of what was taken at a path."""
        return [str(message["title"]) for where, message in self.taken if where.strip("/") == path]

    def texts(self) -> str:
        """Everything that was taken, as one text."""
        return "\n".join(f"{message['title']}\n{message['message']}" for _, message in self.taken)


@contextmanager
def inbox() -> Iterator[Inbox]:
    """Serve one."""
    received = Inbox()
    handler = type("InboxHandler", (_Handler,), {"inbox": received})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    inbox: Inbox

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Take a message, or refuse it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.inbox.asked += 1
        if self.inbox.status == 200:
            self.inbox.taken.append((self.path, body))
        self.send_response(self.inbox.status)
        self.send_header("Content-Length", "0")
        self.end_headers()
