from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from keyturn.clients.answer import Call
from keyturn.clients.stackone.connection import REMEDIES
from keyturn.errors import ConfigurationError, VendorRefusedError

READ = Call("GET", "/accounts/1")


def test_the_key_is_the_user_name_and_the_password_is_empty(stackone: Any, answers: Any) -> None:
    """HTTP Basic as StackOne documents it, with a User-Agent."""
    answers.table["GET /accounts/1"] = {}
    stackone().fetch(READ)
    headers = answers.requests[0].headers
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"v1.eu1.canary-api-key:"
    assert headers["User-Agent"].startswith("keyturn/")


def test_a_missing_key_is_said_at_the_first_call(stackone: Any, answers: Any) -> None:
    """Commands that do not need StackOne work without a key."""
    transport = stackone(api_key=SecretStr(""))
    with pytest.raises(ConfigurationError, match="KEYTURN_STACKONE__API_KEY"):
        transport.fetch(READ)
    assert answers.requests == []


@pytest.mark.parametrize("status", REMEDIES)
def test_every_declared_refusal_has_a_remedy(stackone: Any, answers: Any, status: int) -> None:
    """StackOne's envelope is quoted, the key is not, and the person is told what to do."""
    key = "v1.eu1.canary-api-key"
    answers.table["GET /accounts/1"] = httpx.Response(status, json={"statusCode": status, "message": f"no, {key}"})
    with pytest.raises(VendorRefusedError) as caught:
        stackone().fetch(READ)
    assert caught.value.remedy == REMEDIES[status]
    assert f"{status}: no, [hidden]" in caught.value.problem
    assert caught.value.subject == "StackOne at api.stackone.com"
