"""How each subject is looked at. An error in one look says UNKNOWN, and hides no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from keyturn.domain.attempt import Attempt, AttemptKind, Halt, Receipt, Stage, Wish
from keyturn.domain.credential import CredentialRef, Probe, ProbeOutcome
from keyturn.domain.health import Cause, Observation, Outcome, Subject
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.profile import Profile
from keyturn.domain.schedule import due_at, opens_at
from keyturn.errors import CredentialRefusedError, ManifestError, VendorRefusedError
from keyturn.ports import Clock, ConnectorHub, Ledger, SecretStore, TokenEndpoint
from keyturn.services.account_look import look_at_accounts
from keyturn.services.manifest_folder import Filed, Filing
from keyturn.services.profile_list import QUICK, Profiles
from keyturn.services.rotation.terms import grace_of
from keyturn.services.said import Says, tried
from keyturn.services.standing import Standing, standing_in_ledger

OVERDUE_AFTER = timedelta(days=2)
"""How long after the first moment at which a due rotation may begin it counts as overdue: sweeps are a day apart."""

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
        if self.rotation is None or Stage.STAGE_SECRET not in self.done:
            return False
        if self.rotation.wish is Wish.ROLL_BACK:
            return Stage.ROLL_BACK not in self.done
        stands_rolled_back = Stage.ROLL_BACK in self.done and self.rotation.halt is Halt.ROLLED_BACK
        return Stage.APPLY not in self.done and not stands_rolled_back


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


@dataclass(frozen=True, slots=True)
class Look:
    """Looks at everything."""

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint
    hub: ConnectorHub
    profiles: Profiles
    filed: Filing
    clock: Clock

    def at(self, seen: Scene) -> list[Observation]:
        """One observation of each subject."""
        outside: dict[Subject, Callable[[Scene], Says]] = {
            Subject.PAIR: self._pair,
            Subject.PROFILE: self._profile,
            Subject.ACCOUNTS: self._accounts,
            Subject.RETIRED: self._retired,
        }
        inside = {Subject.AGE: self._age, Subject.MANIFEST: self._manifest, Subject.TRUSTED_IPS: _trusted_ips}
        asked = [self._observed(subject, look, seen, timed=True) for subject, look in outside.items()]
        return asked + [self._observed(subject, look, seen, timed=False) for subject, look in inside.items()]

    def _observed(self, subject: Subject, look: Callable[[Scene], Says], seen: Scene, *, timed: bool) -> Observation:
        began = self.clock.now()
        says = tried(partial(look, seen))
        ended = self.clock.now()
        if says.hint is Cause.NOT_SEEN and ended - began < QUICK:
            says = tried(partial(look, seen))
            ended = self.clock.now()
        took = round((ended - began) / timedelta(milliseconds=1)) if timed else None
        return Observation(subject, says.outcome, says.evidence, ended, says.hint, took)

    def _pair(self, seen: Scene) -> Says:
        try:
            ref, _ = self._pointed_at(seen.key)
            probe = self.gong.probe(self.secrets.read(ref))
        except CredentialRefusedError as error:
            evidence = f"the pair in use cannot be had from Vault: {error.subject} {error.problem}"
            return Says(Outcome.BAD, evidence, Cause.SECRET_MISSING)
        if probe.outcome is ProbeOutcome.VALID:
            return Says(Outcome.OK, f"Gong takes version {ref.version}")
        return self._refused(seen, ref) if probe.outcome is ProbeOutcome.WRONG_PAIR else _not_told(probe, ref)

    def _pointed_at(self, key: IntegrationKey) -> tuple[CredentialRef, CredentialRef | None]:
        """The pair in use, which there always is once an onboarding was completed, and the one that was retired last.

        Raises:
            CredentialRefusedError: the pointer is lost: deleted, overwritten by hand, or from before any promotion.
        """
        subject = f"{key} pointer"
        try:
            pointer = self.secrets.pointer(key)
        except VendorRefusedError as error:
            if error.subject != subject:  # Vault does not let us look, which says nothing of the pointer
                raise
            raise CredentialRefusedError(subject, error.problem, error.remedy) from None
        if pointer.current is None:
            raise CredentialRefusedError(subject, "names no pair in use")
        return pointer.current, pointer.retired

    def _refused(self, seen: Scene, ref: CredentialRef) -> Says:
        evidence = f"Gong refuses version {ref.version}, the pair in use"
        if seen.rotation is None:
            return Says(Outcome.BAD, evidence, Cause.SECRET_RESET)
        turned = seen.done.get(Stage.GONG_ROTATION)
        grace_over = turned is not None and self.clock.now() >= grace_of(turned).earliest_end
        if grace_over or not seen.rotation.terms.can_go_back:
            return Says(Outcome.BAD, f"{evidence}: on purpose, by the rotation under way, which has to be finished")
        return Says(Outcome.BAD, f"{evidence}, before the grace of the rotation under way is over", Cause.SECRET_RESET)

    def _retired(self, seen: Scene) -> Says:
        try:
            _, ref = self._pointed_at(seen.key)
        except CredentialRefusedError:
            return Says(Outcome.UNKNOWN, "which secret was retired last is not known: the pointer in Vault is lost")
        return self._retired_one(ref) if ref else Says(Outcome.OK, "no secret was retired yet")

    def _retired_one(self, ref: CredentialRef) -> Says:
        try:
            probe = self.gong.probe(self.secrets.read(ref))
        except CredentialRefusedError:
            return Says(Outcome.OK, f"version {ref.version} is not in Vault any more")
        if probe.outcome is ProbeOutcome.WRONG_PAIR:
            return Says(Outcome.OK, f"Gong refuses version {ref.version}, as it should after its grace")
        if probe.outcome is ProbeOutcome.VALID:
            evidence = f"Gong still takes version {ref.version}, whose grace is over"
            return Says(Outcome.BAD, evidence, Cause.RETIRED_WORKS)
        return _not_told(probe, ref)

    def _profile(self, seen: Scene) -> Says:
        written = seen.stands.profile
        if written is None:
            return Says(Outcome.UNKNOWN, "there is no receipt of a profile")
        profile_id = str(written["profile_id"])
        since = seen.stands.profile_at
        found = self.profiles.find(profile_id, since, as_expected=lambda p: not _fault_of(p, written, seen))
        if found is None:
            return Says(Outcome.BAD, f"profile {profile_id} is gone from StackOne", Cause.PROFILE_GONE)
        fault = _fault_of(found, written, seen)
        return fault or Says(Outcome.OK, f"profile {profile_id} is as it was left")

    def _accounts(self, seen: Scene) -> Says:
        if not seen.stands.account_id:
            return Says(Outcome.UNKNOWN, "no account was linked")
        profile_id = str(seen.stands.profile["profile_id"]) if seen.stands.profile else ""
        canary = seen.stands.sealed.manifest.rotation.proof_owner.id
        return look_at_accounts(self.hub, seen.stands.account_id, profile_id, canary)

    def _age(self, seen: Scene) -> Says:
        turned, policy = seen.stands.turned_at, seen.stands.sealed.manifest.rotation
        if turned is None:
            return Says(Outcome.UNKNOWN, "it is not known when the secret was turned")
        now = self.clock.now()
        due = due_at(seen.key, policy, turned)
        evidence = f"the secret is {(now - turned).days} days old, and due on {due:%Y-%m-%d}"
        if now < due:
            return Says(Outcome.OK, evidence)
        if seen.rotation is not None:
            return Says(Outcome.OK, f"{evidence}; its rotation is under way")
        late = now >= (opens_at(policy, due) or due) + OVERDUE_AFTER
        return Says(Outcome.BAD, evidence, Cause.ROTATION_OVERDUE) if late else Says(Outcome.OK, evidence)

    def _manifest(self, seen: Scene) -> Says:
        applied = seen.stands.sealed
        registered = self.ledger.registered(seen.key) or applied
        under_way = seen.stands.active is not None and seen.stands.active.digest == registered.digest
        known = _of_registered(applied, registered, under_way=under_way)
        try:
            filed = self.filed(seen.key)
        except ManifestError as error:
            unknown = Says(Outcome.UNKNOWN, f"{known.evidence}; {error.problem}")
            return known if known.outcome is Outcome.BAD else unknown
        # A change may come from elsewhere, and reach this folder when it is approved.
        wanted = (registered, applied) if under_way else (registered,)
        if filed is None or any(filed.says(sealed) for sealed in wanted):
            return known
        return Says(Outcome.BAD, f"{known.evidence}; {_of_file(filed, applied)}", Cause.MANIFEST_CHANGED)


def _of_registered(applied: SealedManifest, registered: SealedManifest, *, under_way: bool) -> Says:
    if registered.digest == applied.digest:
        return Says(Outcome.OK, f"manifest {applied.digest[:12]} is applied")
    names = f"manifest {registered.digest[:12]} is registered, {applied.digest[:12]} is applied"
    if under_way:
        return Says(Outcome.OK, f"{names}; that is under way")
    return Says(Outcome.BAD, names, Cause.MANIFEST_CHANGED)


def _of_file(filed: Filed, applied: SealedManifest) -> str:
    if filed.manifest is None:
        return "the file in the folder has faults, so it cannot be what is registered"
    as_applied = ", but what is applied" if filed.says(applied) else ""
    return f"the file in the folder is not what is registered{as_applied}"


def _trusted_ips(seen: Scene) -> Says:
    ips = seen.stands.sealed.manifest.gong.trusted_ips
    lists = (("access_token", ips.access_token), ("refresh_token", ips.refresh_token))
    empty = [name for name, addresses in lists if not addresses]
    if not empty:
        return Says(Outcome.OK, "the manifest names addresses for both lists")
    evidence = f"the manifest names no trusted addresses for {' and '.join(empty)}"
    return Says(Outcome.BAD, evidence, Cause.TRUSTED_IPS_NOT_ATTESTED)


def _fault_of(found: Profile, written: Mapping[str, object], seen: Scene) -> Says | None:
    """What is wrong with the profile, the gravest first. Its new name stays out: it is somebody's words."""
    name, profile_id = str(written["name"]), found.id
    if found.name != name:
        return Says(Outcome.BAD, f"profile {profile_id} is not named {name!r} any more", Cause.PROFILE_RENAMED)
    if not found.active:
        return Says(Outcome.BAD, f"profile {profile_id} is disabled", Cause.PROFILE_DISABLED)
    if written.get("default") is True and not found.default:
        evidence = f"profile {profile_id} is not the default of its connector any more"
        return Says(Outcome.BAD, evidence, Cause.PROFILE_NOT_DEFAULT)
    if found.updated_at != written["updated_at"] and not seen.profile_in_motion:
        evidence = f"profile {profile_id} was edited at {found.updated_at}, after our receipt"
        return Says(Outcome.BAD, evidence, Cause.PROFILE_EDITED)
    return None


def _not_told(probe: Probe, ref: CredentialRef) -> Says:
    """Gong said nothing about the pair: because nothing was asked or answered, or because it never does."""
    silent = probe.status is None or probe.status >= _SERVER_ERROR or probe.status == _TOO_MANY
    failed = silent and probe.code != _SWITCHED_OFF
    evidence = f"Gong does not say whether it takes version {ref.version} ({probe.code})"
    return Says(Outcome.UNKNOWN, evidence, Cause.NOT_SEEN if failed else None)
