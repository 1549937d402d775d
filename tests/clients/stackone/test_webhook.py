"""What comes in from StackOne: whose signature it is, and what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from keyturn.clients.stackone.webhook import event_of, is_signed
from keyturn.domain.webhook import EVENTS, AccountEvent
from keyturn.errors import ConfigurationError

BODY = b'{"event":"account.created"}'
# Made with `openssl dgst -sha256 -hmac whsec-one -binary | basenc --base64url`, without the padding.
SIGNATURE = "zRwHvfXLGFk5Bpfx-naeGBC_IBhVXs-iWMcRqfwfjJs"
ONE, TWO = SecretStr("whsec-one"), SecretStr("whsec-two")
CREATED = {
    "project_id": "p1",
    "event": "account.created",
    "event_date": "2026-03-02T08:59:00.000Z",
    "sent_at": "2026-03-02T09:00:00.000Z",
    "record_type": "account",
    "record_id": "account-1",
    "account_id": "account-1",
    "provider": "gong",
    "origin_owner_id": "acme-1",
    "origin_owner_name": "Acme",
    "setup_information": {"anything": ["new"]},
}


def body(**changes: Any) -> bytes:
    """A payload, with fields changed, or left out where they are `...`."""
    return json.dumps({name: value for name, value in (CREATED | changes).items() if value is not ...}).encode()


def test_the_signature_of_another_program() -> None:
    """It is the unpadded base64url HMAC-SHA256 of the raw body, as openssl makes it."""
    assert is_signed(BODY, SIGNATURE, [ONE])


@pytest.mark.parametrize("secrets", [[ONE, TWO], [TWO, ONE]], ids=["first", "second"])
def test_either_of_two_secrets(secrets: list[SecretStr]) -> None:
    """While secrets are being replaced, a signature with either one counts."""
    assert is_signed(BODY, SIGNATURE, secrets)


@pytest.mark.parametrize(
    "signature",
    ["", SIGNATURE[:-1], f"{SIGNATURE}=", SIGNATURE.swapcase(), f"sha256={SIGNATURE}", "ü" * 43, "\ud800"],
    ids=["none", "cut", "padded", "case", "prefix", "not ascii", "half a character"],
)
def test_other_signatures(signature: str) -> None:
    """Anything else is none, whatever characters it holds."""
    assert not is_signed(BODY, signature, [ONE, TWO])


def test_other_bodies_and_secrets() -> None:
    """One byte of the body more, less or different, or another secret, and the signature is none."""
    assert not is_signed(BODY + b" ", SIGNATURE, [ONE])
    assert not is_signed(BODY[:-1], SIGNATURE, [ONE])
    assert not is_signed(BODY.upper(), SIGNATURE, [ONE])
    assert not is_signed(BODY, SIGNATURE, [TWO])
    assert not is_signed(BODY, SIGNATURE, [])


def test_what_an_event_says() -> None:
    """Name, account, owner, provider and moment are read; what is new in the payload is no fault."""
    sent_at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert event_of(body()) == AccountEvent("account.created", "account-1", "acme-1", "gong", sent_at)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_each_event(name: str) -> None:
    """All events about accounts are read alike."""
    event = event_of(body(event=name))
    assert event is not None
    assert event.name == name


@pytest.mark.parametrize(
    ("changes", "minute"),
    [({"sent_at": ...}, 59), ({"sent_at": None}, 59), ({"event_date": ...}, 0), ({"sent_at": "2026-03-02T09:00"}, 0)],
    ids=["no sent_at", "null", "no event_date", "no zone"],
)
def test_when_it_was_sent(changes: dict[str, Any], minute: int) -> None:
    """Without `sent_at`, the event's own date counts; a moment without a zone is in UTC."""
    event = event_of(body(**changes))
    assert event is not None
    assert (event.sent_at.minute, event.sent_at.utcoffset()) == (minute, datetime.now(UTC).utcoffset())


def test_what_may_be_missing() -> None:
    """Owner and provider need not be there."""
    event = event_of(body(origin_owner_id=..., provider=None))
    assert event is not None
    assert (event.owner_id, event.provider) == ("", "")


@pytest.mark.parametrize("payload", [b'{"event": "file.created"}', body(event="account.renamed", account_id=...)])
def test_other_events(payload: bytes) -> None:
    """An event that is not about accounts is none of ours, whatever else it holds."""
    assert event_of(payload) is None


@pytest.mark.parametrize(
    ("payload", "at"),
    [
        (b"", "all of it"),
        (b"\xff\xfe", "all of it"),
        (b"[1, 2]", "all of it"),
        (b"[" * 60_000, "all of it"),
        (b'{"event": 7}', "event"),
        (body(account_id=...), "account_id"),
        (body(account_id=7), "account_id"),
        (body(sent_at=..., event_date=...), "all of it"),
        (body(sent_at="whsec yesterday"), "sent_at"),
        (body(sent_at=1e300), "sent_at"),
        (body(account_id=..., origin_owner_id=[]), "account_id, origin_owner_id"),
    ],
    ids=["nothing", "no text", "no object", "deep", "event", "no account", "account", "no date", "date", "far", "two"],
)
def test_what_cannot_be_read(payload: bytes, at: str) -> None:
    """What is wrong is named by its field; no value is repeated."""
    with pytest.raises(ConfigurationError, match="has a shape that keyturn does not know") as told:
        event_of(payload)
    assert f"(at {at})" in str(told.value)
    assert "whsec" not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__context__ is None
