"""What keyturn needs of the outside world, as signatures, one module a neighbour.

Adapters are in `clients/` and `ledger/`.

Every method may raise `TransientError` (trying again helps) or `VendorRefusedError` (a definite no), besides what it
names.
"""

from __future__ import annotations

from keyturn.domain.trail import AuditEntry
from keyturn.ports.budget import Slots, Taken, Window
from keyturn.ports.clock import Clock
from keyturn.ports.evidence import PublicKey, Signer
from keyturn.ports.fleet import Fleet
from keyturn.ports.gauges import Gauges, Tally
from keyturn.ports.gong import TokenEndpoint
from keyturn.ports.ledger import Deciding, Ledger, Opened, Work
from keyturn.ports.notify import Channel, Channels, Notifier, Outbox
from keyturn.ports.observing import Member, Observatory
from keyturn.ports.people import People
from keyturn.ports.prefect import LogLine, Runs, RunState
from keyturn.ports.stackone import ConnectorHub, ProfileWriter, ProfileWriters, Written
from keyturn.ports.stores import Fences, KeptVersions, LivingRun, PairVersions, RunList
from keyturn.ports.trail import Anchor, Anchored, Trail
from keyturn.ports.vault import PersonalVault, Reveal, SecretStore
from keyturn.ports.visits import Session, Visits

__all__ = [
    "Anchor",
    "Anchored",
    "AuditEntry",
    "Channel",
    "Channels",
    "Clock",
    "ConnectorHub",
    "Deciding",
    "Fences",
    "Fleet",
    "Gauges",
    "KeptVersions",
    "Ledger",
    "LivingRun",
    "LogLine",
    "Member",
    "Notifier",
    "Observatory",
    "Opened",
    "Outbox",
    "PairVersions",
    "People",
    "PersonalVault",
    "ProfileWriter",
    "ProfileWriters",
    "PublicKey",
    "Reveal",
    "RunList",
    "RunState",
    "Runs",
    "SecretStore",
    "Session",
    "Signer",
    "Slots",
    "Taken",
    "Tally",
    "TokenEndpoint",
    "Trail",
    "Visits",
    "Window",
    "Work",
    "Written",
]
