"""Attempts of a ledger in memory: opened, executed, halted, ended. Each function is part of an open transaction."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Execution, Halt, Stage, Terms, Wish
from keyturn.domain.gate import GateKind, GateState, Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import RefusedError, SupersededError
from keyturn.ports import Opened
from tests.fakes import ledger_gates as gates
from tests.fakes.ledger_rows import NOBODY, SYSTEM, Draft, Tables

_ANSWERED = (GateState.OPEN, GateState.APPROVED, GateState.REJECTED)
_ASKED_ANEW = (GateKind.STACKONE_FORM, GateKind.PROOF)
_USUAL = Terms()


def open_one(draft: Draft, sealed: SealedManifest, requester: Person | None) -> Opened:
    """Register the manifest; start an attempt, or return the active one, changed if need be."""
    _register(draft, sealed)
    found = active(draft.tables, sealed.key)
    if found is None:
        return Opened(started(draft, sealed, requester), created=True, changed=False)
    require_kind(found, AttemptKind.ONBOARDING)
    if found.digest == sealed.digest:
        return Opened(found, created=False, changed=False)
    if _handed_in(draft, lock(draft, found.id)):
        raise RefusedError(
            str(sealed.key),
            f"its active attempt holds a secret handed in for manifest {found.digest[:12]}, not {sealed.digest[:12]}",
            "Finish that attempt with the manifest it has, or abandon it and start anew.",
        )
    return Opened(_taken_over(draft, found, sealed, requester), created=False, changed=True)


def started(
    draft: Draft,
    sealed: SealedManifest,
    requester: Person | None,
    kind: AttemptKind = AttemptKind.ONBOARDING,
    terms: Terms = _USUAL,
) -> Attempt:
    """A new attempt. It is the integration's only active one, as the unique index of the real ledger demands."""
    if active(draft.tables, sealed.key):
        raise AssertionError("ux_attempts_one_active: a second active attempt")
    who, digest = requester.id if requester else None, sealed.digest
    if digest not in draft.tables.manifests:
        raise AssertionError("fk_attempts_digest: no such manifest")
    attempt = Attempt(
        draft.new_id(), sealed.key, digest, who, AttemptState.ACTIVE, 0, None, draft.now(), kind=kind, terms=terms
    )
    draft.tables.attempts[attempt.id] = attempt
    unusual = {name: True for name, chosen in asdict(terms).items() if chosen}
    draft.audit("attempt.opened", attempt, {"kind": kind, **unusual}, requester or NOBODY)
    return attempt


def active(tables: Tables, key: IntegrationKey) -> Attempt | None:
    """The integration's active attempt."""
    mine = (a for a in tables.attempts.values() if a.key == key)
    return next((a for a in mine if a.state is AttemptState.ACTIVE), None)


def lock(draft: Draft, attempt_id: UUID) -> Attempt:
    """Hold the attempt until the transaction ends."""
    attempt = draft.tables.attempts.get(attempt_id)
    if attempt is None:
        raise unknown(attempt_id)
    draft.lock(attempt_id, str(attempt.key))
    return attempt


def lock_active(draft: Draft, key: IntegrationKey) -> Attempt | None:
    """Hold the integration's active attempt, if it has one."""
    found = active(draft.tables, key)
    return lock(draft, found.id) if found else None


def lock_for(draft: Draft, execution: Execution) -> Attempt:
    """Hold the attempt for its newest execution."""
    attempt = lock(draft, execution.attempt_id)
    if attempt.state is not AttemptState.ACTIVE:
        raise _superseded(execution, f"the attempt has ended as {attempt.state}")
    if attempt.halt is not Halt.NONE:
        raise _superseded(execution, f"the attempt is halted: {attempt.halt}")
    if attempt.digest != execution.digest:
        raise _superseded(execution, f"the manifest has changed to {attempt.digest[:12]}")
    if attempt.fence != execution.fence:
        raise _superseded(execution, f"execution {attempt.fence} has taken over from {execution.fence}")
    return attempt


def begin(draft: Draft, attempt_id: UUID, flow_run_id: UUID | None) -> Execution:
    """Take the next number."""
    before = lock(draft, attempt_id)
    require_moving(before)
    run = flow_run_id or before.flow_run_id
    attempt = draft.alter(before, fence=before.fence + 1, flow_run_id=run, begun_at=draft.now())
    draft.audit("execution.begun", attempt, {"fence": attempt.fence, "flow_run_id": str(run) if run else None})
    return Execution(attempt.id, attempt.key, attempt.digest, attempt.fence)


def end(draft: Draft, attempt: Attempt, state: AttemptState, reason: str, by: Person = SYSTEM) -> Attempt:
    """End it: open gates void, and no number below its fence counts any more."""
    gates.void(draft, attempt, f"the attempt has ended as {state}")
    fence = attempt.fence + (state is AttemptState.ABANDONED)
    ended = draft.alter(attempt, state=state, ended_at=draft.now(), reason=reason, fence=fence)
    draft.audit(f"attempt.{state}", ended, {"reason": reason}, by)
    return ended


def halt(draft: Draft, attempt: Attempt, halt: Halt, reason: str) -> None:
    """Stop it: open gates void, and nothing moves it until a person says so."""
    gates.void(draft, attempt, f"the attempt is halted: {halt}")
    left = Wish.NONE if attempt.wish is Wish.ROLL_BACK else attempt.wish
    halted = draft.alter(attempt, halt=halt, reason=reason, wish=left)
    draft.audit(f"rotation.{halt}", halted, {"reason": reason})


def unhalt(draft: Draft, attempt: Attempt, by: Person, reason: str) -> Attempt:
    """Let it go on under the next number."""
    require_active(attempt)
    if attempt.halt is Halt.NONE:
        raise RefusedError(str(attempt.key), "its attempt is not halted", "See `keyturn status`.")
    for kind in GateKind:
        gate = gates.newest(draft.tables, attempt, kind)
        if gate is not None and (gate.state is GateState.REJECTED or kind in _ASKED_ANEW):
            gates.retire(draft, attempt, gate, "the rotation goes on")
    resumed = draft.alter(attempt, halt=Halt.NONE, reason="", fence=attempt.fence + 1)
    draft.audit("rotation.resumed", resumed, {"was": attempt.halt, "reason": reason}, by)
    return resumed


def wish(draft: Draft, attempt: Attempt, by: Person, wish: Wish, reason: str) -> Attempt:
    """Note what a person wants of the next execution; an orphaned rotation that is to be rolled back goes on for it."""
    if wish is Wish.ROLL_BACK and attempt.halt is Halt.ORPHANED:
        attempt = unhalt(draft, attempt, by, reason)
    require_moving(attempt)
    if attempt.wish not in (Wish.NONE, wish):
        raise RefusedError(
            str(attempt.key), f"its rotation is about to do something else: {attempt.wish}", "See `keyturn status`."
        )
    wished = want(draft, attempt, wish)
    draft.audit("rotation.wished", wished, {"wish": wish, "reason": reason}, by)
    return wished


def want(draft: Draft, attempt: Attempt, wish: Wish) -> Attempt:
    """Set what the next execution has to do first; what a rollback before has noted of itself does not count for it."""
    if wish is Wish.ROLL_BACK and attempt.wish is not wish:
        for each in [k for k in draft.tables.receipts if k[:2] == (attempt.id, Stage.ROLL_BACK)]:
            del draft.tables.receipts[each]
    return draft.alter(attempt, wish=wish)


def restarted(draft: Draft, attempt: Attempt, flow_run_id: UUID) -> None:
    """Bind the run that the watch started, and count it."""
    times = attempt.restarts + 1
    after = draft.alter(attempt, flow_run_id=flow_run_id, restarts=times, restarted_at=draft.now())
    draft.audit("attempt.restarted", after, {"flow_run_id": str(flow_run_id), "times": times})


def require_active(attempt: Attempt) -> None:
    """Check that it can still move."""
    if attempt.state is not AttemptState.ACTIVE:
        raise RefusedError(
            str(attempt.key), f"its attempt has ended as {attempt.state}", "Start a new one with `keyturn onboard`."
        )


def require_moving(attempt: Attempt) -> None:
    """Check that it is active and not halted."""
    require_active(attempt)
    if attempt.halt is not Halt.NONE:
        problem = f"its rotation is halted ({attempt.halt}): {attempt.reason}"
        raise RefusedError(str(attempt.key), problem, f"See `keyturn status {attempt.key}`.")


def require_kind(found: Attempt, kind: AttemptKind) -> None:
    """Check that the active attempt is one of that kind."""
    if found.kind is not kind:
        article = "an" if found.kind is AttemptKind.ONBOARDING else "a"
        raise RefusedError(str(found.key), f"{article} {found.kind} is under way", "See `keyturn status`.")


def unknown(attempt_id: UUID) -> RefusedError:
    """The error for an attempt that does not exist."""
    return RefusedError(
        f"attempt {attempt_id}", "does not exist", "Look at `keyturn status` for the attempts there are."
    )


def _register(draft: Draft, sealed: SealedManifest) -> None:
    name, tables = sealed.manifest.profile_name, draft.tables
    draft.lock(sealed.key, str(sealed.key))
    for key, digest in tables.integrations.items():
        if key != sealed.key and tables.manifests[digest].manifest.profile_name == name:
            raise RefusedError(
                str(sealed.key),
                f"its StackOne profile would be named {name!r}, and that is the profile of {key}",
                "Give stackone.profile_name a name of its own: a profile is found again by its name.",
            )
    tables.manifests.setdefault(sealed.digest, sealed)
    tables.integrations[sealed.key] = sealed.digest


def _taken_over(draft: Draft, found: Attempt, sealed: SealedManifest, requester: Person | None) -> Attempt:
    gates.void(draft, found, "the manifest has changed", _ANSWERED)
    digest = sealed.digest
    for each in [k for k in draft.tables.receipts if (k[0], k[2]) == (found.id, digest)]:
        del draft.tables.receipts[each]
    who = requester.id if requester else None
    attempt = draft.alter(found, digest=digest, fence=found.fence + 1, requester=who)
    detail = {"from": found.digest, "fence": attempt.fence}
    draft.audit("attempt.changed", attempt, detail, requester or NOBODY)
    return attempt


def _handed_in(draft: Draft, attempt: Attempt) -> bool:
    if (attempt.id, Stage.FETCH_SECRET, attempt.digest) in draft.tables.receipts:
        return True
    mine = (g for g in draft.tables.gates.values() if (g.attempt_id, g.kind) == (attempt.id, GateKind.GONG_ADMIN))
    return any(g.state is GateState.APPROVED for g in mine)


def _superseded(execution: Execution, problem: str) -> SupersededError:
    return SupersededError(str(execution.key), problem, "This execution stops; nothing it would have written is kept.")
