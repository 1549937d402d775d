"""What people say to a rotation: begin, put it back, go on, give up, the secret is lost. The machine does the rest.

None of this touches Vault or a vendor: a person's word is a row in the ledger, and the run acts on it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Halt, Stage, Terms, Wish
from keyturn.domain.gate import GateKind, Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.rotation import grace_hours
from keyturn.domain.schedule import in_window, opens_at
from keyturn.errors import GateClosedError, KeyturnError, NotPermittedError, RefusedError
from keyturn.ports import Clock, Ledger, Runs
from keyturn.services.rotation.terms import emergency_hours, grace_of
from keyturn.services.start import Started, carry, require_starter

_RUNS_IT = "operator"


@dataclass(frozen=True, slots=True)
class Rotating:
    """Where people and the sweep say what they want."""

    ledger: Ledger
    runs: Runs
    clock: Clock

    def start(self, key: IntegrationKey, person: Person, terms: Terms) -> Started:
        """Begin a rotation, or return the active one; a compromised secret is an operator's business.

        Raises:
            NotPermittedError: the person may not.
            RefusedError: it was never onboarded, the window is closed, or something else is under way.
        """
        require_starter(str(key), person)
        if terms.compromised:
            _require_operator(key, person)
        sealed = applied_manifest(self.ledger, key)
        if not any(a.state is AttemptState.ACTIVE for a in self.ledger.attempts(key)):
            self._refuse_outside_window(sealed, terms)  # whoever asks for the one under way begins nothing
        opened = self.ledger.open_rotation(sealed, person, terms)
        attempt = opened.attempt
        if not opened.created and attempt.terms != terms and terms != Terms():
            raise RefusedError(
                str(key), "a rotation on other terms is under way", "See `keyturn status`; abandon it to begin anew."
            )
        if attempt.halt is not Halt.NONE or carry(self.ledger, self.runs, attempt):
            return Started(opened, attempt, run_started=False)
        return Started(opened, self.ledger.attempt(attempt.id), run_started=True)

    def roll_back(self, key: IntegrationKey, person: Person, reason: str) -> Attempt:
        """Have the older secret put back into the profile; an orphaned rotation goes on, with that.

        Raises:
            RefusedError: nothing was applied, or the older secret's grace is over.
        """
        _require_operator(key, person)
        attempt = self._active(key)
        self._refuse_if_too_late(attempt)
        wished = self.ledger.wish(attempt.id, person, Wish.ROLL_BACK, reason)
        if attempt.halt is Halt.NONE:
            self._wake(wished)
        else:
            self.ledger.bind_run(wished.id, self.runs.start(wished))
        return wished

    def resume(self, key: IntegrationKey, person: Person, reason: str) -> Attempt:
        """Let a halted rotation go on from its receipts.

        Raises:
            RefusedError: it is not halted.
        """
        _require_operator(key, person)
        attempt = self.ledger.unhalt(self._active(key).id, person, reason)
        self.ledger.bind_run(attempt.id, self.runs.start(attempt))
        return self.ledger.attempt(attempt.id)

    def abandon(self, key: IntegrationKey, person: Person, reason: str) -> Attempt:
        """End it. What lies in Vault and StackOne stays as it is; PENDING is taken up by the next rotation."""
        _require_operator(key, person)
        ended = self.ledger.abandon(self._active(key).id, person, reason)
        self._wake(ended)
        return ended

    def lost(self, key: IntegrationKey, person: Person, reason: str) -> Attempt:
        """Say that the new secret was lost before it was handed in: a second click has to be approved.

        Raises:
            GateClosedError: nobody waits for a new secret.
            NotPermittedError: this person was not asked for it.
        """
        attempt = self._active(key)
        gate = next((g for g in self.ledger.gates(key=key) if g.kind is GateKind.GONG_ROTATION), None)
        if gate is None:
            raise GateClosedError(str(key), "nobody waits for a new secret", "See `keyturn status`.")
        if not person.groups & {*gate.groups, _RUNS_IT}:
            raise NotPermittedError(
                str(key), f"{person.name} was not asked for the secret", f"Ask one of: {', '.join(gate.groups)}."
            )
        wished = self.ledger.wish(attempt.id, person, Wish.LOST_SECRET, reason)
        self._wake(wished)
        return wished

    def _refuse_outside_window(self, sealed: SealedManifest, terms: Terms) -> None:
        policy, now = sealed.manifest.rotation, self.clock.now()
        if terms.compromised or terms.ignore_window or in_window(policy, now):
            return
        opens = opens_at(policy, now)
        when = f"it opens at {opens:%Y-%m-%d %H:%M} UTC" if opens else "it never opens in the next two years"
        raise RefusedError(
            str(sealed.key), f"its rotation window is closed; {when}", "Wait for it, or use --ignore-window."
        )

    def _refuse_if_too_late(self, attempt: Attempt) -> None:
        receipts = {r.stage: r for r in self.ledger.receipts(attempt.id)}
        turned = receipts.get(Stage.GONG_ROTATION)
        if turned is None or Stage.STAGE_SECRET not in receipts:
            raise RefusedError(
                str(attempt.key), "there is nothing to put back: no new secret was handed in", "Use abandon instead."
            )
        ends = grace_of(turned).earliest_end
        if not attempt.terms.can_go_back or self.clock.now() >= ends:
            raise RefusedError(
                str(attempt.key),
                f"the older secret has been dead since {ends:%Y-%m-%d %H:%M} UTC",
                "Only a secret that works can be put back: hand a new one in by another rotation.",
            )

    def _active(self, key: IntegrationKey) -> Attempt:
        return active_rotation(self.ledger, key)

    def _wake(self, attempt: Attempt) -> None:
        """Wake its run; if Prefect does not take that now, the watch repeats it."""
        if attempt.flow_run_id is not None:
            with suppress(KeyturnError):
                self.runs.resume(attempt.flow_run_id)


def active_rotation(ledger: Ledger, key: IntegrationKey) -> Attempt:
    """The integration's active rotation.

    Raises:
        RefusedError: there is none.
    """
    active = next((a for a in ledger.attempts(key) if a.state is AttemptState.ACTIVE), None)
    if active is None or active.kind is not AttemptKind.ROTATION:
        raise RefusedError(str(key), "no rotation is under way", "See `keyturn status`.")
    return active


def applied_manifest(ledger: Ledger, key: IntegrationKey) -> SealedManifest:
    """The manifest that the newest completed onboarding applied.

    Raises:
        RefusedError: there is none.
    """
    for attempt in ledger.attempts(key):
        if attempt.kind is AttemptKind.ONBOARDING and attempt.state is AttemptState.COMPLETED:
            return ledger.manifest(attempt.digest)
    raise RefusedError(str(key), "it was never onboarded to its end", "Run `keyturn onboard` for it first.")


def what_would_happen(sealed: SealedManifest, terms: Terms, now: datetime) -> list[str]:
    """The steps that a rotation would take, for people to read before it begins."""
    policy, manifest = sealed.manifest.rotation, sealed.manifest
    hours = grace_hours(policy.grace_hours, compromised=terms.compromised, emergency=emergency_hours(sealed))
    approvals = manifest.approval.approvals
    who = ", ".join(manifest.approval.groups)
    open_now = terms.compromised or terms.ignore_window or in_window(policy, now)
    click = f"ask one of {', '.join(manifest.admins.gong)} to rotate the secret in Gong with a grace of {hours} hours"
    return [
        "look at everything that is needed" + ("" if open_now else "; it would stop here: the window is closed"),
        "ask nobody: the secret is compromised" if terms.compromised else f"ask {approvals} of {who} to approve",
        f"{click}: the point of no return",
        "make the new secret PENDING in Vault, and try it at Gong",
        f"put it into the StackOne profile {manifest.profile_name!r}, and read the profile back",
        "wait until a refresh or a new link has proven it; put the older secret back if it is disproven"
        if terms.can_go_back
        else "wait until a refresh or a new link has proven it; there is no way back",
        "make it CURRENT, wait for the end of the grace, and mark the older secret dead",
    ]


def _require_operator(key: IntegrationKey, person: Person) -> None:
    if _RUNS_IT not in person.groups:
        raise NotPermittedError(
            str(key), f"{person.name} is no operator", "Ask an operator, or have Vault give you keyturn-operator."
        )
