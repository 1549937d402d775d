"""What may be asked of the API: keys, and what lists are to hold."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from keyturn.domain.attempt import Terms
from keyturn.domain.fleet import FleetHealth, FleetQuery, FleetSort, FleetState
from keyturn.domain.health import Cause
from keyturn.domain.integration import IntegrationKey

_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_TEXT = r"^[^\x00]*$"  # PostgreSQL keeps no NUL
_Name = Annotated[str, Path(pattern=f"^{_NAME}$", examples=["acme"])]


def _key(tenant: _Name, environment: _Name) -> IntegrationKey:
    return IntegrationKey(tenant, environment)


Key = Annotated[IntegrationKey, Depends(_key)]


class _Query(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Listing(_Query):
    """What a list is to hold. What is left out restricts nothing."""

    text: str = Field(default="", max_length=127, pattern=_TEXT, description="Part of the key.")
    state: list[FleetState] = Field(default=[], description="One of these.")
    health: list[FleetHealth] = Field(default=[], description="One of these.")
    cause: Cause | None = Field(default=None, description="This one is raised.")
    group: str = Field(default="", max_length=63, pattern=_TEXT, description="Waits for this group.")
    sort: FleetSort = FleetSort.URGENCY
    after: str = Field(default="", max_length=1000, pattern=_TEXT, description="The `next` of the page before.")
    limit: int = Field(default=50, ge=1, le=200, description="How many on a page.")

    def as_fleet(self) -> FleetQuery:
        """As the fleet is asked."""
        return FleetQuery(
            text=self.text,
            states=frozenset(self.state),
            healths=frozenset(self.health),
            cause=self.cause,
            group=self.group,
            sort=self.sort,
            after=self.after,
            limit=self.limit,
        )


class Gates(_Query):
    """Which open gates. What is left out restricts nothing."""

    key: str = Field(default="", pattern=f"^({_NAME}/{_NAME})?$", description="Of this integration.")
    group: str = Field(default="", max_length=63, pattern=_TEXT, description="Only those that ask this group.")


class Planned(_Query):
    """Which plan."""

    files: bool = Field(default=False, description="With the kit as files: Markdown, and both logos.")
    rotation: bool = Field(default=False, description="Of a rotation instead of an onboarding.")
    compromised: bool = Field(default=False, description="Of one whose secret somebody knows.")
    ignore_window: bool = Field(default=False, description="Of one that begins although the window is closed.")

    def terms(self) -> Terms:
        """On what terms the rotation would be."""
        return Terms(compromised=self.compromised, ignore_window=self.ignore_window)


class Detail(_Query):
    """How much to tell."""

    run: bool = Field(default=False, description="Ask Prefect, too, what has become of the run.")
