"""What keyturn needs of the outside world, as signatures. Adapters are in `clients/` and `ledger/`.

Every method may raise `TransientError` (trying again helps) or `VendorRefusedError` (a definite no), besides what it
names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from keyturn.domain.attempt import Attempt, AttemptState, Execution, Receipt, Stage
from keyturn.domain.credential import Credential, CredentialRef, Pointer, Probe
from keyturn.domain.gate import Gate, GateKind, GateState, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.profile import (
    Account,
    AccountSpec,
    ActionInfo,
    ConnectSession,
    LiveCall,
    Profile,
    ProfileSpec,
    WriterChoice,
)


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """The present, with time zone UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


# --- Vault ----------------------------------------------------------------------------------------------------------


class SecretStore(Protocol):
    """Vault with keyturn's own authority (a worker's)."""

    def pointer(self, key: IntegrationKey) -> Pointer:
        """The integration's pointer; an empty one with revision 0 when there is none."""

    def write_pointer(self, key: IntegrationKey, pointer: Pointer) -> Pointer:
        """Write by check-and-set on `pointer.revision`, read back, and return it with its new revision.

        Raises:
            SupersededError: another execution has written since it was read.
        """

    def read(self, ref: CredentialRef) -> Credential:
        """The credential of exactly that version, after checking that its fingerprint is the reference's.

        Raises:
            CredentialRefusedError: the version is gone, or holds something else than was handed in.
        """


@dataclass(frozen=True, slots=True)
class Reveal:
    """A single-use wrapping token that opens one credential once. Never stored.

    Attributes:
        accessor: identifies it in audits without opening anything.
    """

    token: str = field(repr=False)
    accessor: str
    ttl_s: int


class PersonalVault(Protocol):
    """Vault with a person's own token: who they are, and the hand-over of a secret."""

    def whoami(self) -> Person:
        """Who Vault says the token's owner is.

        Raises:
            NotPermittedError: the token is invalid, or belongs to no person (no identity entity).
        """

    def unwrap(self, wrapping_token: str) -> Credential:
        """Open a wrapping token that holds `client_id` and `client_secret`.

        Raises:
            WrappingTokenUsedError: it was opened before, has expired, or never existed.
        """

    def deposit(self, key: IntegrationKey, credential: Credential) -> CredentialRef:
        """Store as a new version under a create-only, single-use, short-lived token; nothing is in use yet."""

    def fingerprint(self, credential: Credential) -> str:
        """Keyed fingerprint of a pair."""

    def reveal(self, ref: CredentialRef) -> Reveal:
        """Wrap exactly that version for one reading."""


# --- Gong -----------------------------------------------------------------------------------------------------------


class TokenEndpoint(Protocol):
    """Gong's token endpoint, as far as a pair can be tried on it without spending anything."""

    def probe(self, credential: Credential) -> Probe:
        """Try the pair with a bogus code. What cannot be told apart is `NOT_PROVEN`; nothing is raised for it."""


# --- StackOne -------------------------------------------------------------------------------------------------------


class ConnectorHub(Protocol):
    """StackOne's platform API, reading and linking."""

    def profiles(self, connector: str) -> Sequence[Profile]:
        """All profiles of a connector, every page."""

    def actions(self, connector: str) -> Sequence[ActionInfo]:
        """All actions of a connector with their required scopes."""

    def create_session(self, profile_id: str, account: AccountSpec, expires_in_s: int) -> ConnectSession:
        """Make a connect session; the only moment its auth link is known."""

    def session(self, session_id: str) -> ConnectSession:
        """How far the person got."""

    def account(self, account_id: str) -> Account:
        """One linked account."""

    def accounts(self, profile_id: str) -> Sequence[Account]:
        """All accounts linked through a profile."""

    def list_users(self, account_id: str) -> LiveCall:
        """One live call through StackOne to Gong; the users themselves are dropped unread."""


class Written(StrEnum):
    """What a profile writer did."""

    DONE = "done"
    BY_HAND = "by hand"


class ProfileWriter(Protocol):
    """Puts a credential into a StackOne profile. Read back with `ConnectorHub.profiles`, never believed."""

    @property
    def name(self) -> str:
        """`api` or `assisted`."""

    def create(self, spec: ProfileSpec, credential: Credential) -> Written:
        """Make the profile, or say that a person has to."""

    def update(self, profile: Profile, spec: ProfileSpec, credential: Credential) -> Written:
        """Put the credential into an existing profile, or say that a person has to."""


class ProfileWriters(Protocol):
    """Chooses a writer by what the live StackOne offers, never by guessing."""

    def choose(self) -> tuple[ProfileWriter, WriterChoice]:
        """The writer to use now, and why."""


# --- Prefect --------------------------------------------------------------------------------------------------------


class RunState(StrEnum):
    """What Prefect says about a run, as far as keyturn decides by it."""

    MOVING = "moving"  # scheduled, pending or running
    SUSPENDED = "suspended"
    ENDED = "ended"  # completed, failed, crashed or cancelled
    UNKNOWN = "unknown"  # Prefect does not know this run


class Runs(Protocol):
    """Prefect, from outside a run."""

    def start(self, attempt: Attempt) -> UUID:
        """Start a run for the attempt; the same attempt at the same fence gives the same run (idempotency key)."""

    def resume(self, flow_run_id: UUID) -> bool:
        """Ask to resume; `False` when the run is not suspended (it may be about to be)."""

    def state(self, flow_run_id: UUID) -> RunState:
        """What has become of it."""

    def url(self, flow_run_id: UUID) -> str:
        """The run's page in Prefect's UI, or an empty text when Prefect has none."""


# --- the ledger -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """What asking for an attempt gave: `created` anew, or the active one, whose manifest may have `changed`."""

    attempt: Attempt
    created: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when, signed in how, about which digest."""

    at: datetime
    key: str
    attempt_id: UUID | None
    actor: str
    signed_in: str
    event: str
    digest: str
    detail: Mapping[str, object]


class Work(Protocol):
    """What one execution may do while it holds its attempt's row lock. Everything commits together, or not at all."""

    def receipt(self, stage: Stage) -> Receipt | None:
        """The stage's receipt for the execution's digest."""

    def write_receipt(self, stage: Stage, body: Mapping[str, object]) -> Receipt:
        """Prove the stage done. The first one stands: a second write returns it unchanged."""

    def withdraw(self, stage: Stage, reason: str, question: Mapping[str, object]) -> None:
        """Take back the receipt of a stage that rested on a person's answer, and ask that person afresh.

        The closed gate is marked void with the reason, and a new one is opened with `question` added to its own.
        """

    def gate(self, kind: GateKind) -> Gate | None:
        """The newest gate of that kind for the execution's digest, whatever its state."""

    def open_gate(self, kind: GateKind, policy: Policy, question: Mapping[str, object], rearm_at: datetime) -> Gate:
        """Ask. The open gate of that kind is returned if there is one."""

    def amend_gate(self, gate_id: UUID, question: Mapping[str, object]) -> Gate:
        """Replace what the gate says about its subject, e.g. why the last link did not work."""

    def close_gate(self, gate_id: UUID, state: GateState, reason: str, answer: Mapping[str, object]) -> Gate:
        """Close it without a person's decision: what was waited for has been seen."""

    def audit(self, event: str, detail: Mapping[str, object]) -> None:
        """Add to the audit trail, as the system."""


class Deciding(Protocol):
    """What a person may do at one gate while its attempt is locked."""

    @property
    def gate(self) -> Gate:
        """The gate as it is now."""

    def decide(self, person: Person, *, approved: bool, digest: str, note: str, answer: Mapping[str, object]) -> Gate:
        """Record the decision under the rules of `keyturn.domain.gate.admit`.

        Raises:
            RefusedError: it does not count, for one of the reasons named there.
        """

    def amend(self, question: Mapping[str, object]) -> Gate:
        """Replace what the gate says about its subject."""

    def audit(self, person: Person, event: str, detail: Mapping[str, object]) -> None:
        """Add to the audit trail, as that person. Kept even when the decision is refused afterwards."""


class Ledger(Protocol):
    """The ledger. Every method is one transaction."""

    def close(self) -> None:
        """Close every connection; the next call opens one again."""

    def open_attempt(self, sealed: SealedManifest, requester: Person | None) -> Opened:
        """Register the manifest and start an attempt, or return the active one.

        An active attempt with another digest takes the new manifest and requester over as long as no secret was
        handed in: its open gates become void and its fence rises.

        Raises:
            RefusedError: the active attempt is beyond `fetch_secret` with another digest.
        """

    def registered(self, key: IntegrationKey) -> SealedManifest | None:
        """The manifest registered last for this integration."""

    def manifest(self, digest: str) -> SealedManifest:
        """The manifest with that digest."""

    def integrations(self) -> Sequence[IntegrationKey]:
        """All integrations, sorted."""

    def attempt(self, attempt_id: UUID) -> Attempt:
        """One attempt."""

    def attempts(self, key: IntegrationKey) -> Sequence[Attempt]:
        """All attempts of an integration, newest first."""

    def receipts(self, attempt_id: UUID) -> Sequence[Receipt]:
        """The attempt's receipts for its present digest, in stage order."""

    def gates(self, *, key: IntegrationKey | None = None, only_open: bool = True) -> Sequence[Gate]:
        """Gates, oldest first."""

    def begin_execution(self, attempt_id: UUID, flow_run_id: UUID | None) -> Execution:
        """Take the attempt's next number.

        Raises:
            RefusedError: the attempt has ended.
        """

    def exclusive(self, execution: Execution) -> AbstractContextManager[Work]:
        """Lock the attempt's row while something is done for it.

        No newer number is handed out in the meantime, so an effect and its receipt belong to one execution.

        Raises:
            SupersededError: a newer execution exists, the digest has changed, or the attempt has ended.
        """

    def finish(self, execution: Execution, state: AttemptState, reason: str) -> None:
        """End the attempt, under the same conditions as `exclusive`."""

    def abandon(self, attempt_id: UUID, person: Person, reason: str) -> Attempt:
        """End an active attempt by a person's wish: gates void, fence raised."""

    def bind_run(self, attempt_id: UUID, flow_run_id: UUID) -> None:
        """Remember which Prefect run carries the attempt."""

    def deciding(self, key: IntegrationKey, kind: GateKind) -> AbstractContextManager[Deciding]:
        """Lock an integration's open gate of that kind for a person's decision.

        An open gate past its `rearm_at` is marked expired and asked afresh instead.

        Raises:
            GateClosedError: there is no such open gate, or it had expired.
        """

    def owed_resumes(self) -> Sequence[Gate]:
        """Closed gates of active attempts whose resume Prefect has not taken yet (outbox)."""

    def resumed(self, gate_id: UUID) -> None:
        """Prefect took the resume."""

    def rearm(self, now: datetime) -> Sequence[Gate]:
        """Ask every open gate past its `rearm_at` afresh; returns the new gates."""

    def trail(self, key: IntegrationKey | None = None) -> Sequence[AuditEntry]:
        """The audit trail, oldest first."""
