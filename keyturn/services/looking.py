"""How each subject is looked at. An error in one look says UNKNOWN, and hides no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock

from keyturn.domain.attempt import Attempt, AttemptKind, Receipt, Stage, Wish
from keyturn.domain.credential import CredentialRef, Probe, ProbeOutcome
from keyturn.domain.health import Cause, Observation, Outcome, Subject
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.profile import Profile
from keyturn.domain.schedule import due_at, opens_at
from keyturn.errors import CredentialRefusedError, KeyturnError, TransientError, VendorRefusedError
from keyturn.ports import Clock, ConnectorHub, Ledger, SecretStore, TokenEndpoint
from keyturn.services.rotation.terms import grace_of
from keyturn.services.standing import Standing, standing_in_ledger

OVERDUE_AFTER = timedelta(days=2)
"""How long after the first moment at which a due rotation may begin it counts as overdue: sweeps are a day apart."""

_QUICK = timedelta(seconds=5)  # a look that failed so soon is tried once more: a blip should not cost a round

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_SERVER_ERROR, _TOO_MANY = 500, 429
_SWITCHED_OFF = "probe switched off"


@dataclass(frozen=True, slots=True)
class Scene:
    """What the looks are about.

    Attributes:
        stands: as the ledger has it; its pointer is empty, for Vault is looked at like everything else.
        rotation: the rotation under way, if there is one.
        done: the receipts of that rotation.
    """

    stands: Standing
    rotation: Attempt | None
    done: Mapping[Stage, Receipt]

    @property
    def key(self) -> IntegrationKey:
        """The integration."""
        return self.stands.key

    @property
    def profile_in_motion(self) -> bool:
        """Whether the rotation under way may have written the profile without having a receipt of it yet."""
        staged, applied = Stage.STAGE_SECRET in self.done, Stage.APPLY in self.done
        rolled_back = Stage.ROLL_BACK in self.done
        going_back = self.rotation is not None and self.rotation.wish is Wish.ROLL_BACK and not rolled_back
        return staged and (going_back or not (applied or rolled_back))


def scene(ledger: Ledger, key: IntegrationKey) -> Scene | None:
    """Everything the looks need; `None` when the integration was never onboarded.

    Raises:
        TransientError: the ledger is away.
    """
    stands = standing_in_ledger(ledger, key)
    if stands is None:
        return None
    turning = stands.active if stands.active and stands.active.kind is AttemptKind.ROTATION else None
    done = {r.stage: r for r in ledger.receipts(turning.id)} if turning else {}
    return Scene(stands, turning, done)


class Profiles:
    """The list of all profiles, read once for many integrations and threads; and again where that finds a fault."""

    def __init__(self, hub: ConnectorHub) -> None:
        self._hub, self._lock = hub, Lock()
        self._known: Sequence[Profile] | None = None

    def find(self, profile_id: str, *, as_expected: Callable[[Profile], bool]) -> Profile | None:
        """The profile; from the list that is known only if that shows it as expected."""
        with self._lock:
            found = _with_id(self._known or (), profile_id)
            if found is not None and as_expected(found):
                return found
            self._known = self._hub.profiles(CONNECTOR)
            return _with_id(self._known, profile_id)


@dataclass(frozen=True, slots=True)
class _Says:
    outcome: Outcome
    evidence: str
    hint: Cause | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Looks at everything."""

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint
    hub: ConnectorHub
    profiles: Profiles
    clock: Clock

    def at(self, seen: Scene) -> list[Observation]:
        """One observation of each subject."""
        outside: dict[Subject, Callable[[Scene], _Says]] = {
            Subject.PAIR: self._pair,
            Subject.PROFILE: self._profile,
            Subject.ACCOUNTS: self._accounts,
            Subject.RETIRED: self._retired,
        }
        inside = {Subject.AGE: self._age, Subject.MANIFEST: self._manifest, Subject.TRUSTED_IPS: _trusted_ips}
        asked = [self._observed(subject, look, seen, timed=True) for subject, look in outside.items()]
        return asked + [self._observed(subject, look, seen, timed=False) for subject, look in inside.items()]

    def _observed(self, subject: Subject, look: Callable[[Scene], _Says], seen: Scene, *, timed: bool) -> Observation:
        began = self.clock.now()
        says = _tried(look, seen)
        ended = self.clock.now()
        if says.hint is Cause.NOT_SEEN and ended - began < _QUICK:
            says = _tried(look, seen)
            ended = self.clock.now()
        took = round((ended - began) / timedelta(milliseconds=1)) if timed else None
        return Observation(subject, says.outcome, says.evidence, ended, says.hint, took)

    def _pair(self, seen: Scene) -> _Says:
        ref = self.secrets.pointer(seen.key).current
        if ref is None:
            return _Says(Outcome.UNKNOWN, "no pair is in use yet")
        try:
            probe = self.gong.probe(self.secrets.read(ref))
        except CredentialRefusedError as error:
            return _Says(
                Outcome.BAD, f"the pair in use cannot be had from Vault: {error.problem}", Cause.SECRET_MISSING
            )
        if probe.outcome is ProbeOutcome.VALID:
            return _Says(Outcome.OK, f"Gong takes version {ref.version}")
        return self._refused(seen, ref) if probe.outcome is ProbeOutcome.WRONG_PAIR else _not_told(probe, ref)

    def _refused(self, seen: Scene, ref: CredentialRef) -> _Says:
        evidence = f"Gong refuses version {ref.version}, the pair in use"
        if seen.rotation is None:
            return _Says(Outcome.BAD, evidence, Cause.SECRET_RESET)
        turned = seen.done.get(Stage.GONG_ROTATION)
        grace_over = turned is not None and self.clock.now() >= grace_of(turned).earliest_end
        if grace_over or not seen.rotation.terms.can_go_back:
            return _Says(Outcome.BAD, f"{evidence}: on purpose, by the rotation under way, which has to be finished")
        return _Says(Outcome.BAD, f"{evidence}, before the grace of the rotation under way is over", Cause.SECRET_RESET)

    def _retired(self, seen: Scene) -> _Says:
        ref = self.secrets.pointer(seen.key).retired
        if ref is None:
            return _Says(Outcome.OK, "no secret was retired yet")
        try:
            probe = self.gong.probe(self.secrets.read(ref))
        except CredentialRefusedError:
            return _Says(Outcome.OK, f"version {ref.version} is not in Vault any more")
        if probe.outcome is ProbeOutcome.WRONG_PAIR:
            return _Says(Outcome.OK, f"Gong refuses version {ref.version}, as it should after its grace")
        if probe.outcome is ProbeOutcome.VALID:
            evidence = f"Gong still takes version {ref.version}, whose grace is over"
            return _Says(Outcome.BAD, evidence, Cause.RETIRED_WORKS)
        return _not_told(probe, ref)

    def _profile(self, seen: Scene) -> _Says:
        written = seen.stands.profile
        if written is None:
            return _Says(Outcome.UNKNOWN, "there is no receipt of a profile")
        profile_id = str(written["profile_id"])
        found = self.profiles.find(profile_id, as_expected=lambda p: not _fault_of(p, written, seen))
        if found is None:
            return _Says(Outcome.BAD, f"profile {profile_id} is gone from StackOne", Cause.PROFILE_GONE)
        fault = _fault_of(found, written, seen)
        return fault or _Says(Outcome.OK, f"profile {profile_id} is as it was left")

    def _accounts(self, seen: Scene) -> _Says:
        account_id = seen.stands.account_id
        if not account_id:
            return _Says(Outcome.UNKNOWN, "no account was linked")
        try:
            account = self.hub.account(account_id)
        except VendorRefusedError as error:
            if not error.gone:
                raise
            return _Says(Outcome.BAD, f"account {account_id} is gone from StackOne", Cause.CONSENT_LOST)
        if account.status == "active":
            return _Says(Outcome.OK, f"account {account_id} is active, says StackOne")
        codes = [reason for reason in account.reasons if _CODE.fullmatch(reason)]  # sentences may quote people
        because = f" ({', '.join(codes)})" if codes else ""
        status = account.status if _CODE.fullmatch(account.status) else "not active"
        return _Says(Outcome.BAD, f"account {account_id} is {status}{because}", Cause.CONSENT_LOST)

    def _age(self, seen: Scene) -> _Says:
        turned, policy = seen.stands.turned_at, seen.stands.sealed.manifest.rotation
        if turned is None:
            return _Says(Outcome.UNKNOWN, "it is not known when the secret was turned")
        now = self.clock.now()
        due = due_at(seen.key, policy, turned)
        evidence = f"the secret is {(now - turned).days} days old, and due on {due:%Y-%m-%d}"
        if now < due:
            return _Says(Outcome.OK, evidence)
        if seen.rotation is not None:
            return _Says(Outcome.OK, f"{evidence}; its rotation is under way")
        late = now >= (opens_at(policy, due) or due) + OVERDUE_AFTER
        return _Says(Outcome.BAD, evidence, Cause.ROTATION_OVERDUE) if late else _Says(Outcome.OK, evidence)

    def _manifest(self, seen: Scene) -> _Says:
        applied, registered = seen.stands.sealed, self.ledger.registered(seen.key)
        if registered is None or registered.digest == applied.digest:
            return _Says(Outcome.OK, f"manifest {applied.digest[:12]} is applied")
        names = f"manifest {registered.digest[:12]} is registered, {applied.digest[:12]} is applied"
        if seen.stands.active is not None and seen.stands.active.digest == registered.digest:
            return _Says(Outcome.OK, f"{names}; that is under way")
        return _Says(Outcome.BAD, names, Cause.MANIFEST_CHANGED)


def _tried(look: Callable[[Scene], _Says], seen: Scene) -> _Says:
    try:
        return look(seen)
    except KeyturnError as error:
        return _Says(Outcome.UNKNOWN, _why(error), Cause.NOT_SEEN)


def _trusted_ips(seen: Scene) -> _Says:
    ips = seen.stands.sealed.manifest.gong.trusted_ips
    lists = (("access_token", ips.access_token), ("refresh_token", ips.refresh_token))
    empty = [name for name, addresses in lists if not addresses]
    if not empty:
        return _Says(Outcome.OK, "the manifest names addresses for both lists")
    evidence = f"the manifest names no trusted addresses for {' and '.join(empty)}"
    return _Says(Outcome.BAD, evidence, Cause.TRUSTED_IPS_NOT_ATTESTED)


def _fault_of(found: Profile, written: Mapping[str, object], seen: Scene) -> _Says | None:
    """What is wrong with the profile, the gravest first. Its new name stays out: it is somebody's words."""
    name, profile_id = str(written["name"]), found.id
    if found.name != name:
        return _Says(Outcome.BAD, f"profile {profile_id} is not named {name!r} any more", Cause.PROFILE_RENAMED)
    if not found.active:
        return _Says(Outcome.BAD, f"profile {profile_id} is disabled", Cause.PROFILE_DISABLED)
    if written.get("default") is True and not found.default:
        evidence = f"profile {profile_id} is not the default of its connector any more"
        return _Says(Outcome.BAD, evidence, Cause.PROFILE_NOT_DEFAULT)
    if found.updated_at != written["updated_at"] and not seen.profile_in_motion:
        evidence = f"profile {profile_id} was edited at {found.updated_at}, after our receipt"
        return _Says(Outcome.BAD, evidence, Cause.PROFILE_EDITED)
    return None


def _not_told(probe: Probe, ref: CredentialRef) -> _Says:
    """Gong said nothing about the pair: because nothing was asked or answered, or because it never does."""
    silent = probe.status is None or probe.status >= _SERVER_ERROR or probe.status == _TOO_MANY
    failed = silent and probe.code != _SWITCHED_OFF
    evidence = f"Gong does not say whether it takes version {ref.version} ({probe.code})"
    return _Says(Outcome.UNKNOWN, evidence, Cause.NOT_SEEN if failed else None)


def _why(error: KeyturnError) -> str:
    """Why a look failed, in our own words: a vendor's message may quote anything."""
    if isinstance(error, TransientError):
        return f"{error.subject} {error.problem}"
    if isinstance(error, VendorRefusedError) and error.status:
        return f"{error.subject} answered {error.status}"
    return f"{error.subject} gave no answer that could be used"


def _with_id(profiles: Sequence[Profile], profile_id: str) -> Profile | None:
    return next((p for p in profiles if p.id == profile_id), None)
