"""Whose a linked account is, and having its integration taken on before all others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from keyturn.domain.attempt import Stage
from keyturn.domain.gate import GateKind, GateState, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.ledger import owners
from keyturn.ledger.observatory import PostgresObservatory
from keyturn.ledger.repository import PostgresLedger
from tests.fakes.clock import FakeClock

Sealed = Callable[..., SealedManifest]


@pytest.fixture
def observatory(engine: Engine, clock: FakeClock) -> PostgresObservatory:
    """What the watch is asked."""
    return PostgresObservatory(engine, clock, lock_timeout_s=20.0)


@pytest.fixture
def of_owner(sealed: Sealed) -> Callable[..., SealedManifest]:
    """Make a manifest that names whose account is linked, and whose proves a new secret."""

    def make(tenant: str, owner: str, proof: str | None = None) -> SealedManifest:
        body = sealed(tenant).model_dump(mode="json", by_alias=True)
        body["manifest"]["stackone"]["origin_owner"]["id"] = owner
        body["manifest"]["rotation"]["canary_owner"] = {"id": proof, "name": "Proof"} if proof else None
        return SealedManifest.model_validate(body)

    return make


@pytest.fixture
def asks(ledger: PostgresLedger, policy: Policy, clock: FakeClock) -> Callable[..., Any]:
    """Have an attempt of a manifest ask something."""

    def ask(manifest: SealedManifest, kind: GateKind) -> Any:
        run = ledger.begin_execution(ledger.open_attempt(manifest, None).attempt.id, None)
        with ledger.exclusive(run) as work:
            gate = work.open_gate(kind, policy, {}, clock.now() + timedelta(days=14))
        return run, gate

    return ask


def tenants(found: Any) -> list[str]:
    """Whose integrations these are."""
    return [key.tenant for key in found]


def test_by_the_account_that_was_linked(
    ledger: PostgresLedger, sealed: Sealed, observatory: PostgresObservatory
) -> None:
    """An account belongs to the integration whose receipt names it, and to no other."""
    for tenant in ("one", "two"):
        attempt = ledger.open_attempt(sealed(tenant), None).attempt
        with ledger.exclusive(ledger.begin_execution(attempt.id, None)) as work:
            work.write_receipt(Stage.LINK_ACCOUNT, {"account_id": f"account-{tenant}"})
            work.write_receipt(Stage.CREATE_PROFILE, {"account_id": "account-of-no-link"})
    assert tenants(observatory.concerned("account-two", "")) == ["two"]
    assert tenants(observatory.concerned("account-of-no-link", "")) == []
    assert tenants(observatory.concerned("account", "")) == []


def test_by_the_owner_that_is_waited_for(
    observatory: PostgresObservatory, of_owner: Callable[..., SealedManifest], asks: Callable[..., Any]
) -> None:
    """Who waits for the consent of an owner is found by it, and whoever waits for another owner or thing is not."""
    asks(of_owner("waiting", "owner-1"), GateKind.CONSENT)
    asks(of_owner("elsewhere", "owner-2"), GateKind.CONSENT)
    asks(of_owner("not-so-far", "owner-1"), GateKind.APPROVE)
    assert tenants(observatory.concerned("unknown", "owner-1")) == ["waiting"]
    assert tenants(observatory.concerned("unknown", "")) == []


def test_a_closed_gate_waits_for_nobody(
    ledger: PostgresLedger,
    observatory: PostgresObservatory,
    of_owner: Callable[..., SealedManifest],
    asks: Callable[..., Any],
) -> None:
    """Once consent was given, its owner leads to nothing any more."""
    run, gate = asks(of_owner("waiting", "owner-1"), GateKind.CONSENT)
    with ledger.exclusive(run) as work:
        work.close_gate(gate.id, GateState.APPROVED, "consent was given", {})
    assert tenants(observatory.concerned("unknown", "owner-1")) == []


def test_by_the_owner_of_a_proof(
    observatory: PostgresObservatory, of_owner: Callable[..., SealedManifest], asks: Callable[..., Any]
) -> None:
    """A proof is waited for from the manifest's proof owner, which is keyturn's own where it names none."""
    asks(of_owner("own", "owner-1", "proof-1"), GateKind.PROOF)
    asks(of_owner("usual", "owner-2"), GateKind.PROOF)
    assert tenants(observatory.concerned("unknown", "proof-1")) == ["own"]
    assert tenants(observatory.concerned("unknown", "keyturn-canary")) == ["usual"]
    assert tenants(observatory.concerned("unknown", "owner-1")) == []


def test_a_handful_at_most(
    observatory: PostgresObservatory, of_owner: Callable[..., SealedManifest], asks: Callable[..., Any]
) -> None:
    """However many wait for one owner, one webhook never moves the whole fleet."""
    for number in range(owners.MOST + 2):
        asks(of_owner(f"tenant-{number:02}", "owner"), GateKind.PROOF)
    assert len(observatory.concerned("unknown", "keyturn-canary")) == owners.MOST


MANY = """
INSERT INTO manifests SELECT lpad(n::text, 64, '0'), 't-' || n || '/production',
    jsonb_build_object('manifest', jsonb_build_object('rotation', '{}'::jsonb,
        'stackone', jsonb_build_object('origin_owner', jsonb_build_object('id', 'owner-' || n)))), now()
    FROM generate_series(1, 3000) AS n;
INSERT INTO integrations (key, digest, profile_name, updated_at) SELECT key, digest, key, now() FROM manifests;
INSERT INTO attempts (key, digest, state, started_at) SELECT key, digest, 'active', now() FROM manifests;
INSERT INTO receipts SELECT id, 'link_account', digest, 1, jsonb_build_object('account_id', 'account-' || key), now()
    FROM attempts;
INSERT INTO gates (attempt_id, key, kind, digest, needed, groups, channel, state, opened_at, rearm_at, question)
    SELECT id, key, 'consent', digest, 1, '{}', 'keyturn', 'open', now(), now(), '{}' FROM attempts;
"""


def test_a_large_fleet_is_not_searched_through(engine: Engine) -> None:
    """Accounts and owners are found by indexes, which say word for word what the statement says."""
    asked = owners.statement("account", "owner").compile(engine, compile_kwargs={"literal_binds": True})
    with psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        connection.execute(MANY)
        connection.execute("ANALYZE")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {asked}".encode()))
    assert "ix_receipts_account" in plan
    assert "ix_manifests_owner" in plan
    assert "Seq Scan" not in plan


def test_hastened_is_claimed_first(
    ledger: PostgresLedger, sealed: Sealed, observatory: PostgresObservatory, clock: FakeClock
) -> None:
    """An integration that was taken on just now is taken on again, before one that waits for longer; others are not."""
    for tenant in ("old", "new", "rest"):
        ledger.open_attempt(sealed(tenant), None)
    observatory.claim(clock.now(), clock.now(), 10)
    observatory.hasten(IntegrationKey("new", "production"))
    recently = clock.now() - timedelta(seconds=1)
    assert tenants(observatory.claim(clock.now(), recently, 10)) == ["new"]
    assert tenants(observatory.claim(clock.now(), recently, 10)) == []
    clock.move(minutes=20)
    observatory.hasten(IntegrationKey("rest", "production"))
    assert tenants(observatory.claim(clock.now(), clock.now(), 1)) == ["rest"]
