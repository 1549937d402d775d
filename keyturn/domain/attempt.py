"""An attempt to bring one integration from its manifest to a tested connection, and the stages it goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from keyturn.domain.integration import IntegrationKey


class Stage(StrEnum):
    """The stages of an onboarding, in their order."""

    REGISTER = "register"
    APPROVE = "approve"
    GONG_ADMIN = "gong_admin"
    FETCH_SECRET = "fetch_secret"  # noqa: S105  the name of a stage
    STORE_SECRET = "store_secret"  # noqa: S105  the name of a stage
    CREATE_PROFILE = "create_profile"
    LINK_ACCOUNT = "link_account"
    TEST_CONNECTION = "test_connection"


STAGES: tuple[Stage, ...] = tuple(Stage)


class AttemptState(StrEnum):
    """Where an attempt stands. Only ACTIVE can still move."""

    ACTIVE = "active"
    COMPLETED = "completed"
    REJECTED = "rejected"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes:
        digest: the manifest digest it is about; it may change while no secret has been handed in.
        requester: who started it; `None` when nobody signed in (started from Prefect's own pages).
        fence: the number of its newest execution; older executions are refused.
        flow_run_id: the Prefect run that last carried it.
    """

    id: UUID
    key: IntegrationKey
    digest: str
    requester: str | None
    state: AttemptState
    fence: int
    flow_run_id: UUID | None
    started_at: datetime
    ended_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of the flow body for an attempt, holding the attempt's number at the time it began.

    Plain and printable: it goes through Prefect as a task argument.
    """

    attempt_id: UUID
    key: IntegrationKey
    digest: str
    fence: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a stage was done: what it found and made, as plain JSON without secrets."""

    stage: Stage
    body: Mapping[str, object]
    at: datetime
