"""A fleet of onboarded integrations in a ledger of its own; no Vault and no vendor is asked anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Execution, Stage, Terms
from keyturn.domain.gate import Gate, GateKind, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.notice import Event, Notice
from keyturn.domain.rotation import Grace
from keyturn.domain.schedule import after_working_days
from keyturn.ledger.engine import make_engine
from keyturn.ledger.outbox import PostgresOutbox
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import RunState
from keyturn.services.lost_runs import Found, LostRuns
from keyturn.services.rotation.asking import Rotating
from keyturn.services.rotation.terms import grace_as
from keyturn.services.sweep import Sweep
from tests.fakes.clock import FakeClock
from tests.fakes.runs import FakeRuns
from tests.services.told import notices_of

ALICE = Person("vault:entity/alice", "alice", frozenset({"requester", "operator"}), "vault token (userpass)")
FORM = {
    "name": "StackOne",
    "description": "Calls in StackOne",
    "short_description": "Calls",
    "logo": "logo.png",
    "privacy_policy_url": "https://acme.example/privacy",
    "terms_url": "https://acme.example/terms",
    "help_url": "https://acme.example/help",
    "contact_emails": ["it@acme.example"],
    "domains": ["acme.example"],
    "scopes": ["api:users:read"],
}


@dataclass
class Fleet:
    """The fleet, and who looks after it."""

    engine: Engine
    clock: FakeClock = field(default_factory=FakeClock)
    runs: FakeRuns = field(default_factory=FakeRuns)

    def __post_init__(self) -> None:
        self.ledger, self.outbox = self.another_ledger(), PostgresOutbox(self.engine, self.clock, 20.0)

    def another_ledger(self) -> PostgresLedger:
        """The ledger as another process sees it."""
        return PostgresLedger(self.engine, self.clock, lock_timeout_s=20.0)

    @property
    def rotating(self) -> Rotating:
        """Where people say what they want."""
        return Rotating(self.ledger, self.runs, self.clock)

    @property
    def sweep(self) -> Sweep:
        """The sweep."""
        return Sweep(self.ledger, self.runs, self.outbox, self.clock)

    def find_lost(self) -> Found:
        """One round of the watch over the runs."""
        return LostRuns(self.ledger, self.runs, self.outbox, self.clock).find()

    def told(self, event: Event, key: IntegrationKey | None = None) -> list[Notice]:
        """What people are to be told."""
        return notices_of(self.engine, key, event)

    def attempt(self, key: IntegrationKey) -> Attempt:
        """The newest attempt."""
        return self.ledger.attempts(key)[0]

    # --- what has been

    def onboarded(self, tenant: str, **rotation: object) -> IntegrationKey:
        """An integration whose secret came into use just now."""
        sealed = _sealed(tenant, rotation)
        opened = self.ledger.open_attempt(sealed, ALICE).attempt
        run = self.ledger.begin_execution(opened.id, None)
        self.done(run, Stage.STORE_SECRET)
        self.ledger.finish(run, AttemptState.COMPLETED, "")
        return sealed.key

    def registered(self, tenant: str, **rotation: object) -> None:
        """Somebody has begun an onboarding with another manifest, and it was given up."""
        attempt = self.ledger.open_attempt(_sealed(tenant, rotation), ALICE).attempt
        self.ledger.abandon(attempt.id, ALICE, "not like this")

    def turning(self, key: IntegrationKey, terms: Terms = Terms()) -> Execution:  # noqa: B008  immutable
        """A rotation whose run has begun."""
        attempt = self.rotating.start(key, ALICE, terms).attempt
        return self.begun(attempt)

    def begun(self, attempt: Attempt) -> Execution:
        """A run that was taken up."""
        assert attempt.kind is AttemptKind.ROTATION
        assert attempt.flow_run_id
        self.runs.states[attempt.flow_run_id] = RunState.RUNNING
        return self.ledger.begin_execution(attempt.id, attempt.flow_run_id)

    def done(self, run: Execution, *stages: Stage) -> None:
        """Stages that have their receipts."""
        with self.ledger.exclusive(run) as work:
            for stage in stages:
                work.write_receipt(stage, {})

    def clicked(self, run: Execution, hours: int = 168) -> datetime:
        """Somebody rotated the secret in Gong just now; gives the moment when the grace ends."""
        now = self.clock.now()
        grace = Grace.of(hours, now, now, now)
        with self.ledger.exclusive(run) as work:
            work.write_receipt(Stage.GONG_ROTATION, grace_as(grace))
        return grace.latest_end

    def asked(self, run: Execution, kind: GateKind, **question: object) -> Gate:
        """A question that is open for two weeks of working days."""
        with self.ledger.exclusive(run) as work:
            until = after_working_days(self.clock.now(), 14)
            question = {"until": until.isoformat(), **question}
            return work.open_gate(kind, Policy(1, ("gong_admin",)), question, until)

    def move_to(self, moment: datetime, **more: float) -> None:
        """Let time pass until a moment, and a little more."""
        self.clock.time = moment + timedelta(**more)


@contextmanager
def a_fleet(url: str) -> Iterator[Fleet]:
    """A fleet in a database."""
    engine = make_engine(url)
    yield Fleet(engine)
    engine.dispose()


def _sealed(tenant: str, rotation: dict[str, object]) -> SealedManifest:
    manifest = {
        "tenant": tenant,
        "environment": "production",
        "gong": FORM,
        "stackone": {"origin_owner": {"id": f"{tenant}-1", "name": tenant}},
        "rotation": rotation,
    }
    pictures = {"logo_sha256": "0" * 64, "logo_large": "", "logo_small": ""}
    return SealedManifest.model_validate({"manifest": manifest, "scopes": ["api:users:read"], **pictures})
