"""StackOne as a table of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from keyturn.clients.stackone.connection import connect
from keyturn.clients.transport import Transport
from keyturn.settings import StackOneSettings

KEY = "v1.eu1.canary-api-key"


class Answers:
    """Answers by `METHOD /path`; a list is answered in turn, a function is asked. Everything else is 404."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        answer = self.table.get(f"{request.method} {request.url.path}", httpx.Response(404))
        if isinstance(answer, list) and answer and isinstance(answer[0], httpx.Response):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer(request)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def bodies(self, method: str) -> list[Any]:
        """JSON bodies of all requests with that method."""
        return [json.loads(r.content) for r in self.requests if r.method == method]


@pytest.fixture
def answers() -> Answers:
    """What the server says."""
    return Answers()


@pytest.fixture
def stackone(clock: Any, answers: Answers) -> Iterator[Callable[..., Transport]]:
    """Transports to that server, for given settings."""
    opened: list[Transport] = []

    def make(**settings: Any) -> Transport:
        values = {"api_key": SecretStr(KEY), **settings}
        opened.append(connect(StackOneSettings(**values), clock, httpx.MockTransport(answers)))
        return opened[-1]

    yield make
    for transport in opened:
        transport.close()
