"""The ten invariants of a rotation, as questions to a world. Each says what is wrong, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from keyturn.domain.attempt import ROTATION_STAGES, Attempt, AttemptKind, AttemptState, Halt, Receipt, Stage
from keyturn.domain.credential import CredentialRef, Pointer
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.services.rotation.proof import is_disproof
from keyturn.services.rotation.terms import grace_of
from keyturn.services.stage import credential_ref
from tests.services.rotation.machine_world import KEY, World, sealed_manifest

_CLICK = GateKind.GONG_ROTATION


class Truth:
    """Looks at what is kept, and at what really happened."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._searched: dict[int, object] = {}

    def current_was_verified(self) -> str:
        """1. There is always a CURRENT, and it was verified when it was promoted: somebody was let in with it."""
        proven = {each.secret for each in self._world.gong.issued}
        for pointer in self._pointers():
            if pointer.current is None:
                return "there is no CURRENT"
            if self._world.secret(pointer.current) not in proven and not self._world.misled:
                return f"revision {pointer.revision} made version {pointer.current.version} CURRENT, unproven"
        return ""

    def one_pending_and_no_click_inside_a_grace(self) -> str:
        """2. No click is asked for while a grace that keyturn knows of is running, but for an approved second one."""
        for gate in self._gates(_CLICK):
            terms = self._world.ledger.attempt(gate.attempt_id).terms
            excused = terms.second or terms.compromised or "refused_because" in gate.question
            if gate.state is GateState.OPEN and not excused:
                before = [(at, end) for at, end in self._graces() if at <= gate.opened_at]
                # A later click ends every grace before it; at one and the same moment, the one that was asked later.
                end = max(reversed(before), key=lambda each: each[0])[1] if before else gate.opened_at
                if gate.opened_at < end:
                    return f"a click is asked for at {gate.opened_at}, and a grace runs until {end}"
        return ""

    def pending_is_never_lost(self) -> str:
        """3. PENDING stays in the pointer until it is CURRENT, something newer is verified, or it was seen to fail.

        Gong has to refuse it, then; unless something else stood in the profile where people said that it was put in.
        Where a known secret is turned it stays as PREVIOUS: it is the older one in Gong after the next click.
        """
        pointers = self._pointers()
        now, last = {p.current for p in pointers} | {pointers[-1].pending, pointers[-1].previous}, pointers[-1].current
        for pending in {p.pending for p in pointers if p.pending} - now:
            newer = last is not None and last.version > pending.version
            if not newer and self._world.takes(pending) and not (self._world.misled and self._seen_to_fail(pending)):
                return f"PENDING version {pending.version} is gone from the pointer, and Gong would take it"
        return ""

    def _seen_to_fail(self, pending: CredentialRef) -> bool:
        """Whether the rotation that staged it had it disproven."""
        disproven = [self._world.ledger.attempt(g.attempt_id) for g in self._gates(GateKind.PROOF) if is_disproof(g)]
        staged = (self._receipts(attempt).get(Stage.STAGE_SECRET) for attempt in disproven)
        return any(receipt is not None and credential_ref(receipt) == pending for receipt in staged)

    def a_dead_secret_is_never_used(self) -> str:
        """4. PREVIOUS is put back only while it works, and is no PREVIOUS when its rotation is done."""
        dead = [put for put in self._world.puts if not put.works and not put.excused]
        if dead:
            return f"{dead[0].secret} was put into the profile when it was dead"
        attempt, pointer = self._world.ledger.attempts(KEY)[0], self._world.pointer
        if attempt.state is AttemptState.COMPLETED and pointer.previous is not None:
            return f"version {pointer.previous.version} is PREVIOUS although the rotation is done"
        return self._done_with_another()

    def _done_with_another(self) -> str:
        """Whether a rotation is done, and keyturn has left another secret than CURRENT in the profile."""
        world = self._world
        attempt, pointer = world.ledger.attempts(KEY)[0], world.pointer
        if attempt.state is not AttemptState.COMPLETED or pointer.current is None or world.tampered or world.misled:
            return ""
        current = world.secret(pointer.current)
        return "" if world.held() == current else f"done, CURRENT is {current}, and the profile holds {world.held()}"

    def no_secret_is_kept(self) -> str:
        """5. No secret is in the ledger, in a notice, or in anything that anybody was told."""
        world, tables = self._world, self._world.rows.tables
        kept = (tables.attempts, tables.receipts, tables.gates)
        everything = [*world.rows.trail, *world.outbox.told, *world.heard, *(row for t in kept for row in t.values())]
        fresh = [each for each in everything if id(each) not in self._searched]
        self._searched.update((id(each), each) for each in fresh)
        said = repr(fresh) if fresh else ""
        return next((f"{secret} is in {said}" for secret in {*world.gong.values, *world.given} if secret in said), "")

    def one_profile(self) -> str:
        """6. There is exactly one profile."""
        shown = self._world.stackone.shown.values()
        same = [p for p in shown if p.name == sealed_manifest().manifest.profile_name]
        return "" if (len(shown), len(same), self._world.stackone.creates) == (1, 1, 1) else f"profiles: {list(shown)}"

    def approvals_count_from_others(self) -> str:
        """7. What counts as approved was approved by others than the requester, on the digest they saw."""
        for gate in self._gates(GateKind.APPROVE):
            said_yes = [d for d in gate.decisions if d.approved]
            if any(d.person_id == gate.requester or d.digest != gate.digest for d in said_yes):
                return f"the requester, or somebody who saw another digest, is counted at {gate}"
            if gate.state is GateState.APPROVED and len({d.person_id for d in said_yes}) < gate.needed:
                return f"approved by too few: {gate}"
        for gate in self._gates(_CLICK):
            if why := self._unapproved(gate):
                return why
        return ""

    def what_is_unknown_is_not_done(self) -> str:
        """8. The profile holds a secret that Gong has made, unless a person put another there, and done means done."""
        world = self._world
        mine = [put.secret for put in world.puts if put.secret not in world.gong.values and not put.excused]
        if mine:
            return f"keyturn put {mine[0]} into the profile, which Gong never made"
        for attempt in self._rotations(AttemptState.COMPLETED):
            lacking = set(ROTATION_STAGES) - set(self._receipts(attempt))
            if lacking or attempt.halt is not Halt.NONE:
                return f"done without {sorted(lacking)}, halt {attempt.halt!r}"
        return ""

    def done_is_proven(self) -> str:
        """9. A rotation that is done was proven: after APPLY somebody was let in with the new secret."""
        for attempt in self._rotations(AttemptState.COMPLETED):
            receipts = self._receipts(attempt)
            applied, new = receipts[Stage.APPLY], credential_ref(receipts[Stage.PROMOTE])
            secret = self._world.secret(new)
            proven = any(each.at >= applied.at and each.secret == secret for each in self._world.gong.issued)
            if not proven and not self._world.misled:
                return f"done, and nobody was let in with {secret} since it was applied at {applied.at}"
        return ""

    def one_active_attempt(self) -> str:
        """10. At most one attempt is active."""
        active = [a for a in self._world.rows.tables.attempts.values() if a.state is AttemptState.ACTIVE]
        return "" if len(active) <= 1 else f"{len(active)} active attempts"

    # --- what it rests on

    def _pointers(self) -> list[Pointer]:
        return self._world.vault.pointers[KEY]

    def _gates(self, kind: GateKind) -> Iterator[Gate]:
        return (g for g in self._world.rows.tables.gates.values() if g.kind is kind)

    def _rotations(self, state: AttemptState) -> list[Attempt]:
        attempts = self._world.rows.tables.attempts.values()
        return [a for a in attempts if a.kind is AttemptKind.ROTATION and a.state is state]

    def _receipts(self, attempt: Attempt) -> dict[Stage, Receipt]:
        return {r.stage: r for r in self._world.ledger.receipts(attempt.id)}

    def _graces(self) -> Iterator[tuple[datetime, datetime]]:
        """The graces that keyturn knows of: from the hand-in on, until the last moment that they can have."""
        for gate in self._gates(_CLICK):
            if gate.answer and gate.decided_at:
                hours = timedelta(hours=float(str(gate.answer["grace_hours"])))
                clicked = str(gate.answer["clicked_at"])
                yield gate.decided_at, (datetime.fromisoformat(clicked) if clicked else gate.decided_at) + hours
        for attempt in self._rotations(AttemptState.ACTIVE):
            if turned := self._receipts(attempt).get(Stage.GONG_ROTATION):
                yield turned.at, grace_of(turned).latest_end

    def _unapproved(self, click: Gate) -> str:
        """Why that click should not have been asked for."""
        attempt = self._world.ledger.attempt(click.attempt_id)
        if attempt.terms.compromised:
            return ""
        second = bool(click.question.get("second"))
        mine = [
            g for g in self._gates(GateKind.APPROVE) if g.attempt_id == attempt.id and g.state is GateState.APPROVED
        ]
        if any(bool(g.question.get("second")) is second for g in mine):
            return ""
        return f"a click is asked for without an approval: {click}"
