"""Attempts: to bring an integration to a tested connection, or to turn its secret. And the stages they go through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from keyturn.domain.integration import IntegrationKey


class AttemptKind(StrEnum):
    """What an attempt is for."""

    ONBOARDING = "onboarding"
    ROTATION = "rotation"


class Stage(StrEnum):
    """The stages, those of an onboarding first. `approve` belongs to both kinds of attempt."""

    REGISTER = "register"
    APPROVE = "approve"
    GONG_ADMIN = "gong_admin"
    FETCH_SECRET = "fetch_secret"  # noqa: S105  the name of a stage
    STORE_SECRET = "store_secret"  # noqa: S105  the name of a stage
    CREATE_PROFILE = "create_profile"
    LINK_ACCOUNT = "link_account"
    TEST_CONNECTION = "test_connection"

    PREFLIGHT = "preflight"
    GONG_ROTATION = "gong_rotation"
    STAGE_SECRET = "stage_secret"  # noqa: S105  the name of a stage
    PROBE_SECRET = "probe_secret"  # noqa: S105  the name of a stage
    APPLY = "apply"
    VERIFY = "verify"
    PROMOTE = "promote"
    RETIRE = "retire"

    ROLL_BACK = "roll_back"  # not on the way: what a rotation does instead when it goes wrong


STAGES: tuple[Stage, ...] = (
    Stage.REGISTER,
    Stage.APPROVE,
    Stage.GONG_ADMIN,
    Stage.FETCH_SECRET,
    Stage.STORE_SECRET,
    Stage.CREATE_PROFILE,
    Stage.LINK_ACCOUNT,
    Stage.TEST_CONNECTION,
)
"""The stages of an onboarding, in their order."""

ROTATION_STAGES: tuple[Stage, ...] = (
    Stage.PREFLIGHT,
    Stage.APPROVE,
    Stage.GONG_ROTATION,
    Stage.STAGE_SECRET,
    Stage.PROBE_SECRET,
    Stage.APPLY,
    Stage.VERIFY,
    Stage.PROMOTE,
    Stage.RETIRE,
)
"""The stages of a rotation, in their order."""


def stages_of(kind: AttemptKind) -> tuple[Stage, ...]:
    """The stages that an attempt of this kind goes through, in their order."""
    return ROTATION_STAGES if kind is AttemptKind.ROTATION else STAGES


class AttemptState(StrEnum):
    """Where an attempt stands. Only ACTIVE can still move."""

    ACTIVE = "active"
    COMPLETED = "completed"
    REJECTED = "rejected"
    ABANDONED = "abandoned"
    REFUSED = "refused"  # a preflight found what stands in the way: it ended by itself, and nothing was changed


class Halt(StrEnum):
    """Why nothing moves an active attempt by itself until a person says so."""

    NONE = ""
    ROLLED_BACK = "rolled_back"
    ORPHANED = "orphaned"


class Wish(StrEnum):
    """What a person wants of the next execution of a rotation."""

    NONE = ""
    ROLL_BACK = "roll_back"
    LOST_SECRET = "lost_secret"  # noqa: S105  the name of a wish


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rotation was asked for with. An onboarding has the defaults.

    Attributes:
        compromised: the secret is known to somebody: shortest path, hardly any grace, no way back.
        ignore_window: may be done outside the manifest's window.
        second: the new secret was lost before it was handed in, so Gong was asked for another one, which kills the
            one in use at once: no way back either.
    """

    compromised: bool = False
    ignore_window: bool = False
    second: bool = False

    @property
    def names(self) -> list[str]:
        """Of those that hold."""
        return [name for name, holds in asdict(self).items() if holds]

    @property
    def can_go_back(self) -> bool:
        """Whether the old secret outlives the click in Gong."""
        return not (self.compromised or self.second)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt.

    Attributes:
        digest: the manifest digest it is about; it may change while no secret has been handed in.
        requester: who started it; `None` when nobody signed in (started from Prefect's own pages).
        fence: the number of its newest execution; older executions are refused.
        flow_run_id: the Prefect run that last carried it.
        reason: why it ended or halted.
        halt: set while it is active and waits for `keyturn rotate resume` or `abandon`.
        wish: what its next execution has to do first.
        restarts: how often the watch has started a run for it since its last receipt; a receipt is progress.
        begun_at: when its newest execution began.
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
    kind: AttemptKind = AttemptKind.ONBOARDING
    halt: Halt = Halt.NONE
    wish: Wish = Wish.NONE
    terms: Terms = Terms()
    restarts: int = 0
    restarted_at: datetime | None = None
    begun_at: datetime | None = None

    @property
    def moves(self) -> bool:
        """Whether a run should carry it now."""
        return self.state is AttemptState.ACTIVE and self.halt is Halt.NONE


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
