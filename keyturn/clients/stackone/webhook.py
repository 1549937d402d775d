"""StackOne's webhooks as they come in: the signature over the raw body, and what the body says.

Header and events: https://docs.stackone.com/guides/webhooks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, model_validator

from keyturn.domain.webhook import EVENTS, AccountEvent
from keyturn.errors import ConfigurationError

SIGNATURE: Final = "x-stackone-signature"
"""Header with the unpadded base64url HMAC-SHA256 of the raw body."""


class _Payload(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    event: str


class _AccountPayload(_Payload):
    account_id: str
    sent_at: datetime | None = None
    event_date: datetime | None = None
    provider: str | None = None
    origin_owner_id: str | None = None

    @model_validator(mode="after")
    def _dated(self) -> _AccountPayload:
        if self.sent_at is None and self.event_date is None:
            raise ValueError("neither sent_at nor event_date is there")
        return self


def is_signed(body: bytes, signature: str, secrets: Sequence[SecretStr]) -> bool:
    """Whether one of the secrets has signed the body. It takes as long whichever has, and wherever it differs."""
    fits = [hmac.compare_digest(_signature(body, secret), signature.encode(errors="replace")) for secret in secrets]
    return any(fits)


def event_of(body: bytes) -> AccountEvent | None:
    """What a signed body says; `None` for an event that is not about accounts.

    Raises:
        ConfigurationError: it says nothing that could be read. Fields are named, values are not.
    """
    try:
        if _Payload.model_validate_json(body).event not in EVENTS:
            return None
        said = _AccountPayload.model_validate_json(body)
    except ValidationError as error:
        faults = {".".join(map(str, e["loc"])) or "all of it" for e in error.errors(include_input=False)}
    else:
        return _event(said)
    raise ConfigurationError(
        "this webhook",
        f"has a shape that keyturn does not know (at {', '.join(sorted(faults))})",
        "Nothing was done. If StackOne sent it, its webhooks have changed and keyturn needs an update.",
    )


def _signature(body: bytes, secret: SecretStr) -> bytes:
    digest = hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=")


def _event(said: _AccountPayload) -> AccountEvent:
    at = said.sent_at or said.event_date
    assert at is not None  # noqa: S101  the model has neither only when it does not validate
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return AccountEvent(said.event, said.account_id, said.origin_owner_id or "", said.provider or "", at)
