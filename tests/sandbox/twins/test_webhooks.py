import base64
import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

SECRET = "webhook-secret"


class Receiver(ThreadingHTTPServer):
    """Keeps what it gets; answers with the next of its statuses, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.statuses: list[int] = []


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """Keep signature and body."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.put((self.headers["x-stackone-signature"], body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running receiver."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_events_are_signed_over_the_raw_body(start: Any, receiver: Receiver) -> None:
    """Unpadded base64url HMAC-SHA256; created, updated and deleted in order."""
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    with start(webhook_url=url, webhook_secret=SECRET) as world:
        *_, account_id = world.connected()
        world.api.patch(f"/accounts/{account_id}", json={"label": "L"})
        world.api.delete(f"/accounts/{account_id}")
        events = []
        for _ in range(3):
            signature, body = receiver.got.get(timeout=5)
            digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
            assert signature == base64.urlsafe_b64encode(digest).decode().rstrip("=")
            event = json.loads(body)
            assert (event["account_id"], event["provider"]) == (account_id, "gong")
            events.append(event["event"])
    assert events == ["account.created", "account.updated", "account.deleted"]


def test_a_5xx_is_retried_and_a_4xx_is_not(start: Any, receiver: Receiver) -> None:
    """200 means processed."""
    receiver.statuses = [503, 200, 400]
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    with start(webhook_url=url, webhook_secret=SECRET) as world:
        *_, account_id = world.connected()
        world.api.patch(f"/accounts/{account_id}", json={"label": "L"})
        bodies = [json.loads(receiver.got.get(timeout=5)[1])["event"] for _ in range(3)]
    assert bodies == ["account.created", "account.created", "account.updated"]
