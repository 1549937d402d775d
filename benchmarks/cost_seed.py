"""A fleet in the ledger whose integrations are all alike, so that what each of them costs can be compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.fleet_lives import sealed
from keyturn.ledger import migrate

# Placeholders are given to every statement, and one that does not need one passes over it.
_REGISTERED = (
    """INSERT INTO manifests (digest, key, body, registered_at)
    SELECT lpad(to_hex(n), 64, '0'), 'tenant-' || lpad(n::text, 5, '0') || '/production',
        jsonb_set(%(body)s, '{manifest,tenant}', to_jsonb('tenant-' || lpad(n::text, 5, '0'))), %(began)s
    FROM generate_series(0, %(count)s - 1) AS n""",
    """INSERT INTO integrations (key, digest, profile_name, updated_at)
    SELECT key, digest, 'Gong ' || key, %(began)s FROM manifests""",
)
_ATTEMPT = """INSERT INTO attempts (key, kind, digest, requester_id, requester_name, state, fence, flow_run_id,
        started_at, ended_at)
    SELECT key, 'onboarding', digest, 'vault:entity/alice', 'alice', %(state)s, 1, gen_random_uuid(),
        %(began)s, %(ended)s FROM integrations"""
_RECEIPTS = """INSERT INTO receipts (attempt_id, stage, digest, fence, body, at)
    SELECT attempts.id, stage, attempts.digest, 1, CASE stage
        WHEN 'create_profile' THEN jsonb_build_object('profile_id', 'profile-' || split_part(attempts.key, '/', 1),
            'name', 'Gong ' || attempts.key, 'updated_at', '2026-01-01T00:00:00.000Z', 'writer', 'api', 'why', '')
        WHEN 'link_account' THEN jsonb_build_object('account_id', 'account-' || split_part(attempts.key, '/', 1))
        ELSE jsonb_build_object('stored_as', 'current') END, %(began)s
    FROM attempts, unnest(ARRAY['register', 'approve', 'store_secret', 'create_profile', 'link_account']) AS stage"""
_GATES = """INSERT INTO gates (attempt_id, key, kind, digest, requester_id, needed, groups, channel, state, opened_at,
        rearm_at, question)
    SELECT id, key, 'approve', digest, requester_id, 1, ARRAY['approver'], 'keyturn', 'open', %(began)s,
        %(began)s + interval '90 days', '{}' FROM attempts"""


def onboarded(url: str, count: int, days: int = 30) -> None:
    """So many integrations whose onboarding was completed so many days ago, profile and account included."""
    _seed(url, count, days, "completed", _ATTEMPT, _RECEIPTS)


def suspended(url: str, count: int, days: int = 2) -> None:
    """So many integrations whose onboarding has been waiting for an approval for so many days, suspended in Prefect."""
    _seed(url, count, days, "active", _ATTEMPT, _GATES)


def registered(url: str) -> None:
    """A ledger with its tables, and nothing in it."""
    migrate.upgrade(url)


def _seed(url: str, count: int, days: int, state: str, *more: str) -> None:
    registered(url)
    began = datetime.now(UTC) - timedelta(days=days)
    body = Jsonb(sealed(0).model_dump(mode="json"))
    ended = None if state == "active" else began
    given = {"count": count, "body": body, "began": began, "ended": ended, "state": state}
    with psycopg.connect(url) as connection:
        for statement in (*_REGISTERED, *more):
            connection.execute(statement, given)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
