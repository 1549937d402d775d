"""The search for secrets in places where none may be."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote

import psycopg

from keyturn.domain.integration import IntegrationKey

CANARY = 'Kt-c4nary"of\\the/client+secret%&=?<>~7f3a'
"""A client secret that looks different in every encoding."""

_BY_KEY = " WHERE t.key = %(key)s"
_ABOUT = {
    **dict.fromkeys(("manifests", "integrations", "attempts", "gates", "audit", "notices"), _BY_KEY),
    "receipts": " WHERE t.attempt_id IN (SELECT id FROM attempts WHERE key = %(key)s)",
    "decisions": " WHERE t.gate_id IN (SELECT id FROM gates WHERE key = %(key)s)",
}


def spelled(secret: str) -> list[str]:
    """Every spelling in which a secret could have got somewhere."""
    raw = secret.encode()
    inside = [base64.b64encode(b"." * shift + raw).decode()[4:-4] for shift in range(3)]
    return [
        secret,
        *inside,
        *(text.replace("+", "-").replace("/", "_") for text in inside),
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        repr(secret)[1:-1],
    ]


def found(secrets: Sequence[str], texts: Sequence[str]) -> list[str]:
    """The secrets that turn up in the texts, in whatever spelling."""
    everything = "\n".join(texts)
    return [secret for secret in secrets if any(text in everything for text in spelled(secret))]


def kept(ledger_url: str, key: IntegrationKey | None = None) -> list[str]:
    """Every row of a ledger, or every row about one integration, as text."""
    with psycopg.connect(ledger_url) as connection:
        asked = (f"SELECT t::text FROM {table} t{_ABOUT[table] if key else ''}" for table in _ABOUT)  # noqa: S608  ours
        answers = (connection.execute(query, {"key": str(key)} if key else None) for query in asked)
        return [str(row[0]) for answer in answers for row in answer]
