"""What may be sent to the API. What is not known is refused, and no refusal repeats a value: one may be a secret."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    Tag,
)

from keyturn.services.intake import MAX_GRACE_HOURS

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_NO_NUL = r"^[^\x00]*$"  # which PostgreSQL cannot keep


def _moment(given: object) -> object:
    """Nothing but RFC 3339: left alone, pydantic also takes days, and numbers as seconds."""
    if not isinstance(given, str) or not _MOMENT.fullmatch(given):
        raise ValueError("give a moment with its zone, as in 2026-03-02T09:00:00Z")
    return given


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Note = Annotated[str, Field(max_length=2000, pattern=_NO_NUL)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _encodable(secret: SecretStr) -> SecretStr:
    """JSON can spell halves of characters, which can be sent to nobody."""
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        encodable = False
    else:
        encodable = True
    if not encodable:  # out here: the other error knows the secret
        raise ValueError("holds half a character")
    return secret


Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096), AfterValidator(_encodable)]


class Body(BaseModel):
    """Something to do."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Onboard(Body):
    """How to onboard."""

    restart: StrictBool = Field(default=False, description="Start another run even if Prefect says one is under way.")
    unless_done: StrictBool = Field(
        default=False, description="Start nothing if the onboarding by this manifest was completed, or declined."
    )


class Rotate(Body):
    """On what terms to rotate."""

    compromised: StrictBool = Field(default=False, description="Somebody knows the secret: shortest path, no way back.")
    ignore_window: StrictBool = Field(default=False, description="Begin although the manifest's window is closed.")


class Seen(Body):
    """Which question is answered."""

    gate: UUID | None = Field(
        default=None, description="Of the question that was seen: another one is not answered. Else the open one."
    )


class Approve(Seen):
    """A yes to what one has seen."""

    digest: Digest = Field(description="Of the kit that was seen.")
    note: Note = Field(default="", description="Kept in the audit trail.")


class Because(Body):
    """Why; it is kept in the audit trail."""

    reason: Annotated[Note, Field(min_length=1)]


class Reject(Because, Seen):
    """A no, and why; it is kept in the audit trail."""


class Abandon(Because):
    """Why; it is kept in the audit trail."""

    only_rotation: StrictBool = Field(default=False, description="Refuse if it is not a rotation that is under way.")


class _Click(Seen):
    """What is told of the click in Gong, of a rotation."""

    clicked_at: Moment | None = Field(
        default=None, description="When Rotate was pressed in Gong; else within the hour."
    )
    grace_hours: Annotated[StrictInt, Field(ge=0, le=MAX_GRACE_HOURS)] | None = Field(
        default=None, description="The grace that was chosen there; else the one that was asked for."
    )


class Pair(_Click):
    """A pair from Gong. The secret goes to Vault, and nowhere else."""

    client_id: str = Field(min_length=1, max_length=1024, pattern=_NO_NUL)
    client_secret: Secret


class Wrapped(_Click):
    """Vault's wrapping token in the place of the pair that it opens."""

    wrapping_token: Secret = Field(description="It is opened once.")


class OnlyAsk(Body):
    """Nothing: whether this person is asked for a pair."""

    only_ask: Literal[True]


def _which(given: object) -> str:
    names = given.keys() if isinstance(given, dict) else set()
    return next((name for name in ("wrapping_token", "only_ask") if name in names), "pair")


Submit = Annotated[
    Annotated[Pair, Tag("pair")] | Annotated[Wrapped, Tag("wrapping_token")] | Annotated[OnlyAsk, Tag("only_ask")],
    Discriminator(_which),
]
