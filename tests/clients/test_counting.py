"""Every request to a vendor is counted once, by what became of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from keyturn.clients.answer import Call
from keyturn.clients.gong.token_endpoint import token_endpoint
from keyturn.clients.stackone.connection import connect
from keyturn.domain.credential import Credential
from keyturn.domain.gauges import CallOutcome
from keyturn.errors import KeyturnError
from keyturn.settings import GongSettings, StackOneSettings

GOES_WRONG = {
    CallOutcome.NOT_SENT: httpx.ConnectError,
    CallOutcome.LOST: httpx.ReadTimeout,
}


def outcomes() -> list[tuple[object, CallOutcome]]:
    """What the server does, and what that counts as."""
    by_status = {
        200: CallOutcome.OK,
        204: CallOutcome.OK,
        302: CallOutcome.REFUSED,
        401: CallOutcome.REFUSED,
        408: CallOutcome.REFUSED,
        429: CallOutcome.RATE_LIMITED,
        500: CallOutcome.FAILED,
        503: CallOutcome.FAILED,
    }
    return [*by_status.items(), *((error, outcome) for outcome, error in GOES_WRONG.items())]


@pytest.mark.parametrize(("server_does", "outcome"), outcomes(), ids=str)
def test_each_outcome(clock: Any, server_does: object, outcome: CallOutcome) -> None:
    """An answer counts by its status, silence by whether the request was sent."""
    counted: list[tuple[str, CallOutcome]] = []

    def server(request: httpx.Request) -> httpx.Response:
        if isinstance(server_does, int):
            return httpx.Response(server_does)
        assert isinstance(server_does, type)
        raise server_does("no", request=request)

    settings = StackOneSettings(api_key="key")
    with connect(settings, clock, httpx.MockTransport(server), count=lambda *call: counted.append(call)) as transport:
        for _ in range(2):
            try:
                transport.ask(Call("GET", "/accounts"))
            except KeyturnError:
                continue
    assert counted == [("stackone", outcome)] * 2


def test_gong_is_counted_too(clock: Any) -> None:
    """The probe's requests count for Gong; here nobody listens, so none is sent."""
    counted: list[tuple[str, CallOutcome]] = []
    settings = GongSettings(token_url="http://127.0.0.1:1/token")
    token_endpoint(settings, clock, lambda *call: counted.append(call)).probe(Credential("id", "a-secret-of-gong"))
    assert counted == [("gong", CallOutcome.NOT_SENT)]
