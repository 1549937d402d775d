"""What all answers have in common, and who asks."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from keyturn.domain.gate import Person


class Shape(BaseModel):
    """An answer. Whoever reads one passes over what it does not know, since a newer console may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Problem(Shape):
    """Why something was not done (RFC 9457)."""

    type: str
    title: str = Field(description="The kind of failure, e.g. `GateClosedError`.")
    status: int
    detail: str = Field(description="What is wrong, a clause.")
    subject: str = Field(description="What it is about.")
    remedy: str = Field(description="What a person does next.")


class Me(Shape):
    """Whose token it is."""

    id: str
    name: str
    groups: list[str]
    signed_in: str = Field(description="How.")

    @classmethod
    def of(cls, person: Person) -> Self:
        """The shape of it."""
        return cls(id=person.id, name=person.name, groups=sorted(person.groups), signed_in=person.signed_in)


class SignIn(Shape):
    """Where a command gets a token: at an OpenID provider by the device flow, or from Vault."""

    issuer: str | None = Field(description="The OpenID provider; `null` when none is set up.")
    client_id: str | None = Field(description="The command line's client id there.")
    vault_addr: str
