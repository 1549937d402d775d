"""The search that follows every test here finds what it is meant to find."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from tests.services.search import CANARY, found, kept
from tests.services.world import World

SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "repr": repr,
    "base64": lambda secret: base64.b64encode(f"client-id:{secret}".encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(f"id:{secret}.".encode()).decode(),
    "URL": lambda secret: quote(secret, safe=""),
    "query": quote_plus,
    "path": quote,
    "JSON": lambda secret: json.dumps({"secret": secret}),
    "JSON in JSON": lambda secret: json.dumps([json.dumps(secret)]),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_found(spelling: str) -> None:
    """A secret is recognised however somebody has encoded it."""
    text = f"before {SPELLINGS[spelling](CANARY)} after"
    assert found([CANARY], [text]) == [CANARY]
    assert found([CANARY], ["before after"]) == []


def test_ledger_is_searched(world: World) -> None:
    """A secret in a receipt, a question or the audit trail would be found there."""
    world.to_intake()
    with world.ports.ledger.exclusive(world.begin()) as work:
        work.audit("planted", {"deep": [{"inside": "kt-planted-in-the-trail"}]})
    url = world.ports.settings.require_ledger_url()
    assert found(["kt-planted-in-the-trail"], kept(url))
    assert found(["kt-planted-in-the-trail"], kept(url, world.key))


def test_secret_lies_where_it_should(world: World) -> None:
    """After a whole journey the secret is in Vault, and in neither the ledger nor anything that was logged."""
    world.completed()
    with world.openbao.api() as api:
        data = api.read(f"keyturn/data/{world.key}/client")["data"]["data"]
    assert data["client_secret"] == CANARY
    assert found([CANARY], kept(world.ports.settings.require_ledger_url())) == []
    assert found([CANARY], [world.openbao.audit_file.read_text()]) == []
