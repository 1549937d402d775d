"""An integration that was onboarded with nothing left to wish for, and the watch over it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from keyturn.domain.attempt import Stage
from keyturn.domain.credential import Credential, Pointer
from keyturn.domain.health import Cause, Health, Observation, Outcome, Subject, Turn
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.profile import AccountSpec, Link
from keyturn.domain.verdict import Verdict
from keyturn.ports import Observatory
from keyturn.sandbox.people import Pair
from keyturn.services.check import Checked, Checking
from keyturn.services.manifest_folder import Filing
from keyturn.services.standing import standing_in_ledger
from tests.services.world import World

IPS = {"access_token": ["192.0.2.1"], "refresh_token": ["192.0.2.1"]}


def with_ips(sealed: SealedManifest, **lists: list[str]) -> SealedManifest:
    """The manifest with trusted addresses; both lists unless others are given."""
    body = sealed.model_dump(mode="json", by_alias=True)
    body["manifest"]["gong"]["trusted_ips"] = lists or IPS
    return SealedManifest.model_validate(body)


@dataclass
class Watched:
    """An onboarded integration, and the watch over it.

    Attributes:
        filed: what its manifest file says; there is none unless a test writes one.
    """

    world: World
    observatory: Observatory
    pair: Pair
    account_id: str
    filed: Filing = field(default=lambda _key: None)

    @property
    def checking(self) -> Checking:
        """Checks on the world's servers."""
        ports, world = self.world.ports, self.world
        return Checking(ports.ledger, ports.secrets, ports.gong, ports.hub, self.observatory, world.clock, self.filed)

    @property
    def profile_id(self) -> str:
        """The profile that stands."""
        stands = standing_in_ledger(self.world.ports.ledger, self.world.key)
        assert stands
        assert stands.profile
        return str(stands.profile["profile_id"])

    @property
    def health(self) -> Health:
        """How the watch left it."""
        return self.observatory.health(self.world.key)

    @property
    def raised(self) -> set[Cause]:
        """The causes that stand."""
        return {c.cause for c in self.health.raised}

    def check(self) -> Checked:
        """One round, a quarter of an hour after the one before."""
        self.world.clock.move(minutes=15)
        return self.checking.check(self.world.key)

    def checked(self, rounds: int = 2) -> set[Cause]:
        """The causes that stand after some rounds."""
        for _ in range(rounds):
            self.check()
        return self.raised

    def look(self, subject: Subject) -> Observation:
        """One look at one subject; nothing is kept."""
        return next(o for o in self.checking.look(self.world.key) if o.subject is subject)

    def outcomes(self) -> dict[Subject, Outcome]:
        """One look at everything."""
        return {o.subject: o.outcome for o in self.checking.look(self.world.key)}

    def turned(self) -> list[tuple[Cause, Turn]]:
        """What one round raises and clears."""
        return [(t.condition.cause, t.turn) for t in self.check().transitions]

    def another_account(self, owner: str = "somebody-else") -> str:
        """Somebody links an account of their own through the profile; its id."""
        hub = self.world.ports.hub
        session = hub.create_session(self.profile_id, AccountSpec(owner, "Somebody else", "", ""), 1800)
        self.world.consent(Link(session.id, session.auth_link, self.world.clock.now()))
        return hub.session(session.id).account_id

    def customers_call(self) -> None:
        """Somebody uses the account; StackOne notices what is wrong with it only then."""
        self.world.ports.hub.list_users(self.account_id)

    def new_secret(self, grace_hours: int) -> Pair:
        """A secret turned in Gong."""
        self.pair = self.world.twins.rotate(self.pair, grace_hours)
        self.world.secrets.append(self.pair.client_secret)
        return self.pair

    def promoted(self, grace_hours: int) -> Pointer:
        """As a whole rotation leaves it: the new secret in use, the old one retired."""
        pair, world = self.new_secret(grace_hours), self.world
        ref = world.vault("grace").deposit(world.key, Credential(pair.client_id, pair.client_secret))
        before = world.pointer
        return world.ports.secrets.write_pointer(world.key, replace(before, current=ref, retired=before.current))


def onboarded(world: World, observatory: Observatory, sealed: SealedManifest) -> Watched:
    """Onboard a world, to the end."""
    world.start(sealed=sealed)
    world.waits()
    world.approve()
    world.go_on()
    pair = world.create_integration()
    world.submit(pair)
    world.go_on()
    world.consent(world.link())
    assert isinstance(world.go_on(), Verdict)
    return Watched(world, observatory, pair, str(world.receipt(Stage.LINK_ACCOUNT).body["account_id"]))
