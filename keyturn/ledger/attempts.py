"""Attempts: opened, taken over by a changed manifest, executed, ended. Each function is part of an open transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Execution, Halt, Stage, Terms
from keyturn.domain.gate import GateKind, GateState, Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import RefusedError, SupersededError
from keyturn.ledger import gates as gates_of
from keyturn.ledger import telling
from keyturn.ledger.rows import attempt_of
from keyturn.ledger.tables import attempts, gates, integrations, manifests, receipts
from keyturn.ledger.unit import NOBODY, SYSTEM, Unit
from keyturn.ports import Opened


def open_one(unit: Unit, sealed: SealedManifest, requester: Person | None) -> Opened:
    """Register the manifest; start an attempt, or return the active one, changed if need be.

    Raises:
        RefusedError: a secret was handed in for another digest.
    """
    _register(unit, sealed)
    active = _active(unit, sealed.key)
    if active is not None:
        _require_kind(active, AttemptKind.ONBOARDING)
    if active is not None and active.digest == sealed.digest:
        # Not locked: an execution may be in the middle of a step, and whoever asks should not wait for it. The digest
        # cannot change meanwhile, since only this function changes it, and `_register` lets one caller in at a time.
        return Opened(active, created=False, changed=False)
    active = lock_active(unit, sealed.key)
    if active is None:
        return Opened(_started(unit, sealed, requester), created=True, changed=False)
    if _handed_in(unit, active):
        raise RefusedError(
            str(sealed.key),
            f"its active attempt holds a secret handed in for manifest {active.digest[:12]}, not {sealed.digest[:12]}",
            "Finish that attempt with the manifest it has, or abandon it and start anew.",
        )
    return Opened(_taken_over(unit, active, sealed, requester), created=False, changed=True)


def open_rotation(unit: Unit, sealed: SealedManifest, requester: Person | None, terms: Terms) -> Opened:
    """Start a rotation, or return the active one; one caller at a time for each integration.

    Raises:
        RefusedError: an onboarding is under way.
    """
    held = select(integrations.c.key).where(integrations.c.key == str(sealed.key)).with_for_update()
    unit.connection.execute(held)
    active = _active(unit, sealed.key)
    if active is not None:
        _require_kind(active, AttemptKind.ROTATION)
        return Opened(active, created=False, changed=False)
    return Opened(_started(unit, sealed, requester, AttemptKind.ROTATION, terms), created=True, changed=False)


def lock(unit: Unit, attempt_id: UUID) -> Attempt:
    """Lock the attempt's row until the transaction ends.

    Raises:
        RefusedError: there is no such attempt.
    """
    row = _locked(unit, attempts.c.id == attempt_id)
    if row is None:
        raise unknown(attempt_id)
    return attempt_of(row)


def lock_active(unit: Unit, key: IntegrationKey) -> Attempt | None:
    """Lock the row of the integration's active attempt, if it has one."""
    row = _locked(unit, attempts.c.key == str(key), attempts.c.state == AttemptState.ACTIVE)
    return attempt_of(row) if row else None


def _active(unit: Unit, key: IntegrationKey) -> Attempt | None:
    asked = select(attempts).where(attempts.c.key == str(key), attempts.c.state == AttemptState.ACTIVE)
    row = unit.connection.execute(asked).one_or_none()
    return attempt_of(row) if row else None


def lock_for(unit: Unit, execution: Execution) -> Attempt:
    """Lock the attempt's row for its newest execution.

    Raises:
        SupersededError: it is not the newest, or the attempt has changed or ended.
    """
    attempt = lock(unit, execution.attempt_id)
    if attempt.state is not AttemptState.ACTIVE:
        raise _superseded(execution, f"the attempt has ended as {attempt.state}")
    if attempt.halt is not Halt.NONE:
        raise _superseded(execution, f"the attempt is halted: {attempt.halt}")
    if attempt.digest != execution.digest:
        raise _superseded(execution, f"the manifest has changed to {attempt.digest[:12]}")
    if attempt.fence != execution.fence:
        raise _superseded(execution, f"execution {attempt.fence} has taken over from {execution.fence}")
    return attempt


def begin(unit: Unit, attempt_id: UUID, flow_run_id: UUID | None) -> Execution:
    """Take the next number; waits for whoever holds the attempt.

    Raises:
        RefusedError: the attempt has ended, or does not exist.
    """
    before = lock(unit, attempt_id)
    require_moving(before)
    run = flow_run_id or before.flow_run_id
    attempt = alter(unit, before, {"fence": before.fence + 1, "flow_run_id": run, "begun_at": unit.now()})
    unit.audit("execution.begun", attempt, {"fence": attempt.fence, "flow_run_id": str(run) if run else None})
    return Execution(attempt.id, attempt.key, attempt.digest, attempt.fence)


def end(unit: Unit, attempt: Attempt, state: AttemptState, reason: str, by: Person = SYSTEM) -> Attempt:
    """End it: open gates void, and no number below its fence counts any more."""
    gates_of.void(unit, attempt, f"the attempt has ended as {state}")
    values: dict[str, object] = {"state": state, "ended_at": unit.now(), "reason": reason}
    if state is AttemptState.ABANDONED:
        values["fence"] = attempt.fence + 1
    ended = alter(unit, attempt, values)
    unit.audit(f"attempt.{state}", ended, {"reason": reason}, by)
    telling.of_end(unit, ended)
    return ended


def alter(unit: Unit, attempt: Attempt, values: Mapping[str, object]) -> Attempt:
    """Change columns of a locked attempt."""
    changed = update(attempts).where(attempts.c.id == attempt.id).values(**values).returning(attempts)
    return attempt_of(unit.connection.execute(changed).one())


def require_active(attempt: Attempt) -> None:
    """Check that it can still move.

    Raises:
        RefusedError: it has ended.
    """
    if attempt.state is not AttemptState.ACTIVE:
        raise RefusedError(
            str(attempt.key), f"its attempt has ended as {attempt.state}", "Start a new one with `keyturn onboard`."
        )


def require_moving(attempt: Attempt) -> None:
    """Check that it is active and not halted.

    Raises:
        RefusedError: it has ended or halted.
    """
    require_active(attempt)
    if attempt.halt is not Halt.NONE:
        raise RefusedError(
            str(attempt.key),
            f"its rotation is halted ({attempt.halt}): {attempt.reason}",
            f"See `keyturn status {attempt.key}`, then `keyturn rotate resume` or `keyturn rotate abandon`.",
        )


def unknown(attempt_id: UUID) -> RefusedError:
    """The error for an attempt that does not exist."""
    return RefusedError(
        f"attempt {attempt_id}", "does not exist", "Look at `keyturn status` for the attempts there are."
    )


def _register(unit: Unit, sealed: SealedManifest) -> None:
    key, now = str(sealed.key), unit.now()
    body = {"digest": sealed.digest, "key": key, "body": sealed.model_dump(mode="json"), "registered_at": now}
    unit.connection.execute(upsert(manifests).values(body).on_conflict_do_nothing())
    mine = {"key": key, "digest": sealed.digest, "profile_name": _free_name(unit, sealed), "updated_at": now}
    unit.connection.execute(upsert(integrations).values(mine).on_conflict_do_nothing(index_elements=["key"]))
    # From here on, whoever opens an attempt of the same integration waits.
    held = select(integrations).where(integrations.c.key == key).with_for_update()
    if unit.connection.execute(held).one().digest != sealed.digest:
        unit.connection.execute(update(integrations).where(integrations.c.key == key).values(mine))


def _free_name(unit: Unit, sealed: SealedManifest) -> str:
    """The name of the integration's profile, if no other integration has it."""
    name = sealed.manifest.profile_name
    asked = select(integrations.c.key).where(integrations.c.profile_name == name, integrations.c.key != str(sealed.key))
    other = unit.connection.execute(asked).scalar_one_or_none()
    if other is not None:
        raise RefusedError(
            str(sealed.key),
            f"its StackOne profile would be named {name!r}, and that is the profile of {other}",
            "Give stackone.profile_name a name of its own: a profile is found again by its name.",
        )
    return name


def _require_kind(active: Attempt, kind: AttemptKind) -> None:
    if active.kind is not kind:
        raise RefusedError(
            str(active.key),
            f"a{'n' if active.kind is AttemptKind.ONBOARDING else ''} {active.kind} is under way",
            "See `keyturn status`; wait for its end, or abandon it.",
        )


def _started(
    unit: Unit,
    sealed: SealedManifest,
    requester: Person | None,
    kind: AttemptKind = AttemptKind.ONBOARDING,
    terms: Terms = Terms(),  # noqa: B008  immutable
) -> Attempt:
    values = {
        "kind": kind,
        "terms": asdict(terms),
        "key": str(sealed.key),
        "digest": sealed.digest,
        "state": AttemptState.ACTIVE,
        "started_at": unit.now(),
        **_requested_by(requester),
    }
    attempt = attempt_of(unit.connection.execute(insert(attempts).values(values).returning(attempts)).one())
    unusual = {name: True for name, chosen in asdict(terms).items() if chosen}
    unit.audit("attempt.opened", attempt, {"kind": kind, **unusual}, requester or NOBODY)
    return attempt


def _taken_over(unit: Unit, active: Attempt, sealed: SealedManifest, requester: Person | None) -> Attempt:
    by = requester or NOBODY
    # Not only open gates: were the manifest changed back later, by somebody who had approved its first version, that
    # approval would count for their own request. For the same reason older receipts of the new digest go.
    gates_of.void(unit, active, "the manifest has changed", (GateState.OPEN, GateState.APPROVED, GateState.REJECTED))
    unit.connection.execute(
        delete(receipts).where(receipts.c.attempt_id == active.id, receipts.c.digest == sealed.digest)
    )
    attempt = alter(unit, active, {"digest": sealed.digest, "fence": active.fence + 1, **_requested_by(requester)})
    unit.audit("attempt.changed", attempt, {"from": active.digest, "fence": attempt.fence}, by)
    return attempt


def _requested_by(requester: Person | None) -> dict[str, str | None]:
    return {
        "requester_id": requester.id if requester else None,
        "requester_name": requester.name if requester else None,
    }


def _handed_in(unit: Unit, attempt: Attempt) -> bool:
    fetched = select(receipts.c.stage).where(
        receipts.c.attempt_id == attempt.id, receipts.c.stage == Stage.FETCH_SECRET, receipts.c.digest == attempt.digest
    )
    submitted = select(gates.c.kind).where(
        gates.c.attempt_id == attempt.id, gates.c.kind == GateKind.GONG_ADMIN, gates.c.state == GateState.APPROVED
    )
    return unit.connection.execute(fetched.union(submitted)).first() is not None


def _locked(unit: Unit, *where: ColumnElement[bool]) -> Row[Any] | None:
    return unit.connection.execute(select(attempts).where(*where).with_for_update()).one_or_none()


def _superseded(execution: Execution, problem: str) -> SupersededError:
    return SupersededError(str(execution.key), problem, "This execution stops; nothing it would have written is kept.")
