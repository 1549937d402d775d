"""A proxy before a real server, on which requests and answers get lost."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Lossy:
    """What will get lost: requests whose line contains a text, one each.

    Attributes:
        before: those that the server never sees.
        after: those whose answer nobody sees.
    """

    target: int
    port: int = 0
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def due(self, faults: list[str], line: str) -> bool:
        """Whether this request is one of those; used up by it."""
        found = next((what for what in faults if what in line), None)
        if found is not None:
            faults.remove(found)
        return found is not None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Lossy

    def log_message(self, *_: object) -> None:
        pass

    def _pass_on(self) -> None:
        line, body = f"{self.command} {self.path}", self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        if self.proxy.due(self.proxy.before, line):
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.target, timeout=10)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if self.proxy.due(self.proxy.after, line):
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        if answer.status != http.HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_LIST = _pass_on  # noqa: N815  the names http.server looks for


@contextmanager
def lossy(target: int) -> Iterator[Lossy]:
    """Serve the proxy before a port of this machine."""
    proxy = Lossy(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
