"""The ledger on a fresh migrated database for each test, and what it is asked with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from keyturn.domain.gate import Person, Policy
from keyturn.domain.manifest import SealedManifest
from keyturn.ledger.engine import make_engine
from keyturn.ledger.repository import PostgresLedger
from tests.fakes.clock import FakeClock


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Connections to this test's database."""
    engine = make_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> FakeClock:
    """This test's time."""
    return FakeClock()


@pytest.fixture
def ledger(engine: Engine, clock: FakeClock) -> PostgresLedger:
    """The ledger, with a patience for locks that no healthy test exhausts."""
    return PostgresLedger(engine, clock, lock_timeout_s=20.0)


@pytest.fixture
def sealed() -> Callable[..., SealedManifest]:
    """Make a sealed manifest; another `note` gives another digest."""

    def make(tenant: str = "acme", note: str = "Calls in StackOne") -> SealedManifest:
        form = {
            "name": "StackOne",
            "description": note,
            "short_description": "Calls",
            "logo": "logo.png",
            "privacy_policy_url": "https://acme.example/privacy",
            "terms_url": "https://acme.example/terms",
            "help_url": "https://acme.example/help",
            "contact_emails": ["it@acme.example"],
            "domains": ["acme.example"],
        }
        return SealedManifest.model_validate(
            {
                "manifest": {
                    "tenant": tenant,
                    "environment": "production",
                    "gong": form,
                    "stackone": {"origin_owner": {"id": "acme-1", "name": "Acme"}},
                },
                "scopes": ["api:users:read"],
                "logo_sha256": "0" * 64,
                "logo_large": "",
                "logo_small": "",
            }
        )

    return make


@pytest.fixture
def person() -> Callable[..., Person]:
    """Make somebody Vault vouches for."""

    def make(name: str, *groups: str) -> Person:
        return Person(f"vault:entity/{name}", name, frozenset(groups), "vault token (userpass)")

    return make


@pytest.fixture
def policy() -> Policy:
    """One approver."""
    return Policy(1, ("approver",))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for what happens at the same time."""
    with ThreadPoolExecutor(8) as pool:
        yield pool
