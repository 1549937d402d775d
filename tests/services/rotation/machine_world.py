"""An onboarded integration in memory, with everything around it, on which rotations can be tried by the thousand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.credential import Credential, CredentialRef, Pointer
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import CONNECTOR, SealedManifest
from keyturn.domain.notice import Notice
from keyturn.domain.profile import Profile, ProfileSpec
from keyturn.ports import Channel, RunState
from keyturn.services.link import account_spec
from keyturn.services.stage import as_body
from tests.fakes.clock import FakeClock
from tests.fakes.crashing import Crashing, Troubles
from tests.fakes.gong import FakeGong
from tests.fakes.ledger import FakeLedger
from tests.fakes.ledger_rows import Rows
from tests.fakes.runs import FakeRuns
from tests.fakes.secrets import FakePersonalVault, FakeSecretStore, FakeVault
from tests.fakes.stackone import FakeStackOne, FakeWriter, FakeWriters

KEY = IntegrationKey("acme", "production")


@cache
def sealed_manifest() -> SealedManifest:
    """The manifest that was applied."""
    form = {
        "name": "StackOne",
        "description": "Calls",
        "short_description": "Calls",
        "logo": "logo.png",
        "privacy_policy_url": "https://acme.example/privacy",
        "terms_url": "https://acme.example/terms",
        "help_url": "https://acme.example/help",
        "contact_emails": ["it@acme.example"],
        "domains": ["acme.example"],
    }
    stackone = {"origin_owner": {"id": "acme-1", "name": "Acme"}}
    manifest = {"tenant": KEY.tenant, "environment": KEY.environment, "gong": form, "stackone": stackone}
    pictures = {"logo_sha256": "0" * 64, "logo_large": "", "logo_small": ""}
    return SealedManifest.model_validate({"manifest": manifest, "scopes": ["api:users:read"], **pictures})


def person(name: str, *groups: str) -> Person:
    """Somebody Vault vouches for."""
    return Person(f"vault:entity/{name}", name, frozenset(groups), "vault token (userpass)")


ALICE = person("alice", "requester", "approver")
BOB = person("bob", "approver", "requester")
CAROL = person("carol", "approver")
GRACE = person("grace", "gong_admin")
OLGA = person("olga", "operator")
PEOPLE = (ALICE, BOB, CAROL, GRACE, OLGA)


@dataclass
class FakeOutbox:
    """Takes what is to be told; the other half of the port has no part in this."""

    told: list[Notice] = field(default_factory=list)

    def tell(self, notice: Notice) -> bool:
        """Keep it once."""
        new = all(each.about != notice.about for each in self.told)
        if new:
            self.told.append(notice)
        return new

    def tell_all(self, notices: Sequence[Notice]) -> int:
        """Keep each once."""
        return sum(map(self.tell, notices))


class NoChannels:
    """Nobody has configured a channel."""

    def channels(self) -> Sequence[Channel]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Click:
    """*Rotate secret* was clicked in Gong: when, with which grace, and the secret that was shown this once."""

    at: datetime
    grace_hours: int
    secret: str


@dataclass(frozen=True, slots=True)
class Put:
    """keyturn put a secret into the profile: which one, whether Gong took it at that moment, and who had tampered."""

    secret: str
    works: bool
    excused: bool


@dataclass
class WatchedWriters(FakeWriters):
    """Notes what keyturn puts into the profile, and whether that could work."""

    world: World | None = None

    def choose(self) -> tuple[FakeWriter, object]:
        """The writer, watched."""
        writer, why = super().choose()
        return WatchedWriter(self.stackone, writer.name, self.world), why


@dataclass
class WatchedWriter(FakeWriter):
    """Tells the world of every write by API."""

    world: World | None = None

    def update(self, profile: Profile, spec: ProfileSpec, credential: Credential) -> object:
        """Put the pair into the profile."""
        written = super().update(profile, spec, credential)
        if self.name == "api" and self.world:
            works = self.world.gong.accepts(credential.client_id, credential.reveal())
            excused = self.world.tampered or not self.world.gong.tells
            self.world.puts.append(Put(credential.reveal(), works, excused))
        return written


class States(dict[UUID, RunState]):
    """What has become of every run, and since when."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock, self._since = clock, dict[UUID, datetime]()

    def __setitem__(self, run: UUID, state: RunState) -> None:
        if self.get(run) is not state:
            self._since[run] = self._clock.now()
        super().__setitem__(run, state)

    def setdefault(self, run: UUID, default: RunState) -> RunState:  # type: ignore[override]
        """As a dictionary does it, with the time."""
        if run not in self:
            self[run] = default
        return self[run]

    def for_s(self, run: UUID) -> float:
        """For how many seconds it has been so."""
        return (self._clock.now() - self._since[run]).total_seconds()


class TimedRuns(FakeRuns):
    """Knows how long a run has been in its state."""

    def __init__(self, clock: FakeClock) -> None:
        self.timed = States(clock)
        super().__init__(states=self.timed)

    def state_for_s(self, flow_run_id: UUID) -> float:
        """By the clock of the test."""
        return self.timed.for_s(flow_run_id)


@dataclass
class World:
    """Everything there is, and what really happened.

    Attributes:
        tampered: somebody did at Gong or in StackOne what nobody had asked for, so that keyturn knows less than it
            thinks.
        misled: somebody put another secret into StackOne's form than they were asked to.
        clipboard: clicks whose secret Gong's admin still has.
        given: every text that was ever handed in as a secret, right or wrong.
        puts: what keyturn itself put into the profile.
        heard: every error that anybody was told.
    """

    by_hand: bool = False
    tells: bool = True
    clock: FakeClock = field(default_factory=FakeClock)
    rows: Rows = field(default_factory=Rows)
    vault: FakeVault = field(default_factory=FakeVault)
    troubles: Troubles = field(default_factory=Troubles)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    channels: NoChannels = field(default_factory=NoChannels)
    tampered: bool = False
    misled: bool = False
    clipboard: list[Click] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runs = TimedRuns(self.clock)
        self.ledger = FakeLedger(self.clock, self.rows)
        self.gong = FakeGong(self.clock, tells=self.tells)
        self.stackone = FakeStackOne(self.clock, self.gong)
        self.writers = WatchedWriters(self.stackone, self.by_hand, self)
        self.secrets = FakeSecretStore(self.vault)
        self._onboarded()

    # --- what is the case

    @property
    def pointer(self) -> Pointer:
        """Which secret is in use, says Vault."""
        return self.secrets.pointer(KEY)

    @property
    def profile_id(self) -> str:
        """The one profile."""
        return next(iter(self.stackone.shown))

    @property
    def account_id(self) -> str:
        """The account that was linked at the beginning: the customer's own."""
        return next(iter(self.stackone.linked))

    def held(self) -> str:
        """The secret that the profile really holds."""
        return self.stackone.held[self.profile_id].reveal()

    def secret(self, ref: CredentialRef) -> str:
        """The secret that a reference means."""
        pair = self.vault.pair(ref)
        assert pair, ref
        return pair.reveal()

    def works(self, secret: str) -> bool:
        """Whether Gong takes it now."""
        return self.gong.accepts(self.gong.client_id, secret)

    def takes(self, ref: CredentialRef) -> bool:
        """Whether Gong takes that very pair now: the secret may be right, and the Client ID another one's."""
        pair = self.vault.pair(ref)
        return pair is not None and self.gong.accepts(pair.client_id, pair.reveal())

    def pair(self, secret: str) -> Credential:
        """The integration's client id with a secret."""
        return Credential(self.gong.client_id, secret)

    def vault_of(self, who: Person) -> FakePersonalVault:
        """Vault in a person's hands."""
        return FakePersonalVault(self.vault, who)

    def ports(self, ledger: FakeLedger) -> dict[str, Any]:
        """The ports of a process that has this ledger; troubles strike on every one of them."""
        mine = {
            "ledger": ledger,
            "secrets": self.secrets,
            "gong": self.gong,
            "hub": self.stackone,
            "writers": self.writers,
            "outbox": self.outbox,
            "runs": self.runs,
        }
        return {name: Crashing(port, name, self.troubles) for name, port in mine.items()}

    def carried_by(self, run: UUID) -> UUID:
        """The attempt that a run was started for."""
        return next(attempt for (attempt, _, _), known in self.runs._by_key.items() if known == run)

    # --- what happens outside

    def pass_time(self, duration: timedelta, *, busy: bool) -> None:
        """Let time pass; a busy customer calls Gong through StackOne twice a day, so tokens are refreshed."""
        end, half_a_day = self.clock.now() + duration, timedelta(hours=12)
        while busy and self.clock.now() + half_a_day < end:
            self.clock.time += half_a_day
            self.stackone.list_users(self.account_id)
        self.clock.time = end
        if busy:
            self.stackone.list_users(self.account_id)

    def click(self, grace_hours: int) -> None:
        """*Rotate secret* in Gong; the new secret is copied."""
        at = self.clock.now()
        self.clipboard.append(Click(at, grace_hours, self.gong.rotate(grace_hours)))

    def _onboarded(self) -> None:
        sealed, pair = sealed_manifest(), self.pair(self.gong.values[0])
        ref = self.vault_of(GRACE).deposit(KEY, pair)
        self.secrets.write_pointer(KEY, Pointer(current=ref, attempt_id="onboarding", fence=1))
        profile = self.stackone.make_profile(sealed.manifest.profile_name, pair, CONNECTOR)
        session = self.stackone.create_session(profile.id, account_spec(sealed), 60)
        self.stackone.consent(session.id)
        run = self.ledger.begin_execution(self.ledger.open_attempt(sealed, ALICE).attempt.id, None)
        shown = {"profile_id": profile.id, "name": profile.name, "updated_at": profile.updated_at, "default": True}
        linked = {"account_id": self.account_id, "profile_id": profile.id}
        with self.ledger.exclusive(run) as work:
            work.write_receipt(Stage.STORE_SECRET, as_body(ref) | {"stored_as": "current", "proven": True})
            work.write_receipt(Stage.CREATE_PROFILE, shown | {"writer": "api", "why": ""})
            work.write_receipt(Stage.LINK_ACCOUNT, linked)
        self.ledger.finish(run, AttemptState.COMPLETED, "")
        self.clock.move(days=90)
        self.stackone.list_users(self.account_id)
