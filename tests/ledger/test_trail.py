from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.gate import GateKind, GateState, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import CredentialRefusedError
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import Clock

Sealed = Callable[..., SealedManifest]
People = Callable[..., Person]
KEY = IntegrationKey("acme", "production")
TWO_WEEKS = timedelta(days=14)


def _journey(ledger: PostgresLedger, sealed: Sealed, person: People, clock: Clock) -> None:
    attempt = ledger.open_attempt(sealed(), person("alice")).attempt
    run = ledger.begin_execution(attempt.id, None)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.REGISTER, {"secretive": "body"})
        work.open_gate(GateKind.APPROVE, Policy(1, ("approver",)), {}, clock.now() + TWO_WEEKS)
    clock.sleep(TWO_WEEKS.total_seconds())
    ledger.rearm(clock.now())
    with ledger.deciding(KEY, GateKind.APPROVE) as at:
        at.decide(person("bob", "approver"), approved=True, digest=run.digest, note="fine", answer={})
    with ledger.exclusive(run) as work:
        gate = work.open_gate(GateKind.CONSENT, Policy(1, ("approver",)), {}, clock.now() + TWO_WEEKS)
        work.amend_gate(gate.id, {"last": "expired"})
        work.close_gate(gate.id, GateState.APPROVED, "seen", {})
    ledger.finish(run, AttemptState.COMPLETED, "done")


def test_every_transition_is_in_the_trail(ledger: PostgresLedger, sealed: Sealed, person: People, clock: Clock) -> None:
    """A journey leaves one entry for each transition, in order, with who did it about which digest."""
    _journey(ledger, sealed, person, clock)
    ledger.open_attempt(sealed("globex"), None)
    trail = ledger.trail(KEY)
    assert [e.event for e in trail] == [
        "attempt.opened",
        "execution.begun",
        "receipt.written",
        "gate.opened",
        "gate.expired",
        "gate.opened",
        "gate.decided",
        "gate.opened",
        "gate.amended",
        "gate.closed",
        "attempt.completed",
    ]
    assert {e.digest for e in trail} == {sealed().digest}
    assert {e.attempt_id for e in trail} == {ledger.attempts(KEY)[0].id}
    assert [e.actor for e in trail if e.actor != "system"] == ["vault:entity/alice", "vault:entity/bob"]
    body = hashlib.sha256(b'{"secretive":"body"}').hexdigest()
    assert trail[2].detail == {"stage": "register", "fence": 1, "sha256": body}
    decided = trail[6]
    assert decided.signed_in == "vault token (userpass)"
    assert decided.detail["approved"] is True
    assert decided.detail["name"] == "bob"
    assert decided.at == clock.now()
    assert [e.actor for e in ledger.trail()][-1] == "unknown"


def test_changes_and_abandonment_are_in_the_trail(ledger: PostgresLedger, sealed: Sealed, person: People) -> None:
    """A changed manifest and an abandoned attempt say who wanted it, and from which digest."""
    attempt = ledger.open_attempt(sealed(), person("alice")).attempt
    ledger.open_attempt(sealed(note="other"), person("bob"))
    ledger.abandon(attempt.id, person("carol"), "wrong tenant")
    _, changed, abandoned = ledger.trail(KEY)
    assert (changed.event, changed.actor, changed.detail["from"]) == (
        "attempt.changed",
        "vault:entity/bob",
        sealed().digest,
    )
    assert changed.digest == sealed(note="other").digest
    assert (abandoned.event, abandoned.actor) == ("attempt.abandoned", "vault:entity/carol")
    assert abandoned.detail == {"name": "carol", "reason": "wrong tenant"}


def test_an_entry_survives_the_refusal(ledger: PostgresLedger, sealed: Sealed, person: People, clock: Clock) -> None:
    """What a person's audit entry says is kept although their decision is refused and rolled back afterwards."""
    run = ledger.begin_execution(ledger.open_attempt(sealed(), person("alice")).attempt.id, None)
    with ledger.exclusive(run) as work:
        work.open_gate(GateKind.GONG_ADMIN, Policy(1, ("gong_admin",)), {}, clock.now() + TWO_WEEKS)
    gina = person("gina", "gong_admin")
    with pytest.raises(CredentialRefusedError), ledger.deciding(KEY, GateKind.GONG_ADMIN) as at:  # noqa: PT012  the block is the transaction
        at.amend({"gone": True})
        at.audit(gina, "intake.refused", {"by": "probe"})
        assert [e.event for e in ledger.trail(KEY)][-1] == "intake.refused", "it is there at once"
        raise CredentialRefusedError("acme/production", "wrong pair", "")
    last = ledger.trail(KEY)[-1]
    assert (last.event, last.actor, last.detail["by"]) == ("intake.refused", gina.id, "probe")
    assert ledger.gates()[0].question == {}


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_trail_only_grows(
    ledger: PostgresLedger, sealed: Sealed, person: People, engine: Engine, statement: str
) -> None:
    """PostgreSQL itself refuses to change, delete or empty the trail."""
    ledger.open_attempt(sealed(), person("alice"))
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    assert len(ledger.trail()) == 1
