"""Where two stores contradict each other about an integration: each was right once, and one of them was restored."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Store(StrEnum):
    """Who holds facts."""

    LEDGER = "ledger"
    VAULT = "vault"
    PREFECT = "prefect"
    STACKONE = "stackone"


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """What one store says that the ledger contradicts, or that could not be compared.

    Attributes:
        key: the integration, in text; empty when it is about none.
        store: which store was compared with the ledger; the ledger itself when its own trail does not fit.
        known: false when that store or the ledger did not answer: then nothing is known, which is never fine.
        found: what is wrong, a clause.
        remedy: which command to run, or what a person does, a sentence.
    """

    key: str
    store: Store
    known: bool
    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What comparing all stores came to.

    Attributes:
        integrations: how many were compared.
    """

    integrations: int
    found: tuple[Inconsistency, ...]
