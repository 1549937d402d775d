"""Starting an integration, or going on with its active attempt."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import KeyturnError, NotPermittedError, RefusedError
from keyturn.ports import Ledger, Opened, Runs, RunState
from keyturn.services.rotation.terms import clicked

_MAY_START = frozenset({"requester", "operator"})


@dataclass(frozen=True, slots=True)
class Started:
    """What `onboard` came to: the attempt, and whether a new Prefect run was started for it."""

    opened: Opened
    attempt: Attempt
    run_started: bool


def start(ledger: Ledger, runs: Runs, sealed: SealedManifest, person: Person, *, restart: bool = False) -> Started:
    """Open an attempt for a manifest, or return the active one, and see that a Prefect run carries it.

    With `restart` another run is started even if Prefect says that one is moving, for a worker that died without a
    word; a suspended one is woken. That is safe: the older execution is refused at its next step.

    Raises:
        NotPermittedError: the person is no requester.
        RefusedError: the active attempt is too far on to take a changed manifest.
    """
    require_starter(str(sealed.key), person)
    opened = ledger.open_attempt(sealed, person)
    attempt = opened.attempt
    if carry(ledger, runs, attempt, anew=opened.changed or restart):
        return Started(opened, attempt, run_started=False)
    after = ledger.attempt(attempt.id)
    return Started(opened, after, run_started=after.flow_run_id != attempt.flow_run_id)


def is_done(ledger: Ledger, sealed: SealedManifest) -> bool:
    """Whether nothing is left to do for this manifest: its onboarding was completed, and no other one since.

    This is what a command over a whole fleet goes by, so that it may be repeated.

    Raises:
        RefusedError: people have said no to it; nobody asks them the same again who has not thought of it.
    """
    onboardings = (a for a in ledger.attempts(sealed.key) if a.kind is AttemptKind.ONBOARDING)
    newest = next(onboardings, None)
    if newest is None or newest.digest != sealed.digest:
        return False
    if newest.state in (AttemptState.REJECTED, AttemptState.ABANDONED):
        problem = f"its onboarding by this manifest was {newest.state}"
        raise RefusedError(str(sealed.key), problem, f"To ask again all the same: `keyturn onboard {sealed.key}`.")
    return newest.state is AttemptState.COMPLETED


def require_starter(subject: str, person: Person) -> None:
    """Check that this person may start anything.

    Raises:
        NotPermittedError: they may not.
    """
    if not person.groups & _MAY_START:
        raise NotPermittedError(
            subject,
            f"{person.name} is in none of the groups {', '.join(sorted(_MAY_START))}",
            "Ask a requester, or have Vault give you the policy keyturn-requester.",
        )


def carry(ledger: Ledger, runs: Runs, attempt: Attempt, *, anew: bool = False) -> bool:
    """See that a Prefect run carries the attempt; says whether one did already."""
    if _carried(runs, attempt, anew=anew):
        return True
    ledger.bind_run(attempt.id, runs.start(attempt))
    return False


def abandon(ledger: Ledger, runs: Runs, person: Person, key: IntegrationKey, reason: str) -> Attempt:
    """End the active attempt of an integration, and let its suspended run find that out.

    Every operator may, and its requester; but after the click of a rotation the secret in use dies, whoever ends it.

    Raises:
        RefusedError: there is no active attempt.
        NotPermittedError: this person may not.
    """
    active = next((a for a in ledger.attempts(key) if a.state is AttemptState.ACTIVE), None)
    if active is None:
        raise RefusedError(str(key), "has no active attempt", "See `keyturn status`.")
    if "operator" not in person.groups:
        _require_own(key, person, active)
        _refuse_after_click(ledger, key, active)
    ended = ledger.abandon(active.id, person, reason)
    if ended.flow_run_id is not None:
        with suppress(KeyturnError):  # the attempt has ended all the same; its run finds that out at its next step
            runs.resume(ended.flow_run_id)
    return ended


def _require_own(key: IntegrationKey, person: Person, active: Attempt) -> None:
    if person.id != active.requester:
        raise NotPermittedError(
            str(key),
            f"{person.name} neither started this attempt nor is an operator",
            "Ask whoever started it, or an operator.",
        )


def _refuse_after_click(ledger: Ledger, key: IntegrationKey, active: Attempt) -> None:
    if active.kind is AttemptKind.ROTATION and clicked(ledger, active):
        raise NotPermittedError(
            str(key), "its secret was rotated in Gong, and the older one dies", "Only an operator may give it up now."
        )


def _carried(runs: Runs, attempt: Attempt, *, anew: bool) -> bool:
    """Whether Prefect has a run for the attempt that will go on with it.

    With `anew` a suspended run is woken, and one that moves does not count: a changed manifest has fenced it off, so it
    stops at its next step; or its worker died without a word.
    """
    if attempt.flow_run_id is None:
        return False
    state = runs.state(attempt.flow_run_id)
    if anew:
        return state is RunState.SUSPENDED and runs.resume(attempt.flow_run_id)
    return state in (RunState.MOVING, RunState.RUNNING, RunState.SUSPENDED)
