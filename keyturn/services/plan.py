"""What a run would do, and what is there already. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyturn.domain.difference import differences
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.profile import matching
from keyturn.errors import KeyturnError
from keyturn.ports import ConnectorHub, Ledger, ProfileWriters, SecretStore
from keyturn.services.provision import profile_spec


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was looked up; `known` is false when it could not be, and `says` tells why."""

    about: str
    known: bool
    says: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Facts found in each store, the manifest's differences, and what a run would do, in order."""

    sealed: SealedManifest
    facts: tuple[Fact, ...]
    differences: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planning:
    """Looks everywhere, and lets no single server that is away spoil the rest."""

    ledger: Ledger
    secrets: SecretStore
    hub: ConnectorHub
    writers: ProfileWriters

    def plan(self, sealed: SealedManifest) -> Plan:
        """The plan for a manifest."""
        looks: list[tuple[str, Callable[[SealedManifest], str]]] = [
            ("ledger", self._in_ledger),
            ("Vault", self._in_vault),
            ("StackOne profile", self._in_stackone),
            ("StackOne accounts", self._accounts_touched),
            ("profile writer", self._writer),
        ]
        facts = tuple(_fact(about, look, sealed) for about, look in looks)
        differences = _safely(lambda: self._differences(sealed), ["the registered manifest could not be read"])
        return Plan(sealed, facts, tuple(differences), _steps(sealed))

    def _in_ledger(self, sealed: SealedManifest) -> str:
        attempts = self.ledger.attempts(sealed.key)
        if not attempts:
            return "never onboarded"
        newest = attempts[0]
        return f"attempt {newest.id} is {newest.state}, digest {newest.digest[:12]}, since {newest.started_at:%Y-%m-%d}"

    def _in_vault(self, sealed: SealedManifest) -> str:
        pointer = self.secrets.pointer(sealed.key)
        named = (("current", pointer.current), ("pending", pointer.pending), ("previous", pointer.previous))
        held = [f"{name}: version {ref.version}" for name, ref in named if ref]
        return ", ".join(held) or "no credential"

    def _in_stackone(self, sealed: SealedManifest) -> str:
        spec = profile_spec(sealed)
        found = matching(self.hub.profiles(spec.connector), spec)
        if not found:
            return f"no profile named {spec.name!r}; it would be created"
        if len(found) > 1:
            return f"{len(found)} profiles named {spec.name!r}: a run would stop there until one is left"
        state = "active" if found[0].active else "disabled"
        return f"{found[0].id} ({state}), edited {found[0].updated_at}; its credentials would be replaced"

    def _accounts_touched(self, sealed: SealedManifest) -> str:
        spec = profile_spec(sealed)
        found = matching(self.hub.profiles(spec.connector), spec)
        count = sum(len(self.hub.accounts(p.id)) for p in found)
        return f"{count} linked account{'s' if count != 1 else ''} would be touched"

    def _writer(self, _sealed: SealedManifest) -> str:
        choice = self.writers.choose()[1]
        return f"{choice.writer}: {choice.why}"

    def _differences(self, sealed: SealedManifest) -> list[str]:
        registered = self.ledger.registered(sealed.key)
        if registered is None:
            return ["everything is new"]
        if registered.digest == sealed.digest:
            return ["nothing has changed since it was registered"]
        return [str(each) for each in differences(registered, sealed)]


def _steps(sealed: SealedManifest) -> tuple[str, ...]:
    approval, admins = sealed.manifest.approval, sealed.manifest.admins
    return (
        f"register digest {sealed.digest[:12]}",
        f"wait for {approval.approvals} approval(s) by {', '.join(approval.groups)}",
        f"wait for {', '.join(admins.gong)} to create the integration in Gong and hand its pair in",
        "lint and probe the pair, store it in Vault",
        f"have the StackOne profile {sealed.manifest.profile_name!r} hold the pair",
        f"wait for {', '.join(admins.gong)} to consent by the auth link",
        "test the connection, layers L0 to L3",
    )


def _fact(about: str, look: Callable[[SealedManifest], str], sealed: SealedManifest) -> Fact:
    try:
        return Fact(about, known=True, says=look(sealed))
    except KeyturnError as error:
        return Fact(about, known=False, says=str(error))


def _safely(look: Callable[[], list[str]], otherwise: list[str]) -> list[str]:
    try:
        return look()
    except KeyturnError:
        return otherwise
