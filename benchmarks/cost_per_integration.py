"""What one integration costs in fleets of different sizes: `python benchmarks/cost_per_integration.py`.

Nothing is timed. Statements are counted where they are sent to the ledger, requests where they arrive: at Prefect,
StackOne and Gong; of Vault, the calls of its port. What a fleet costs, through its size, should not grow with it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import httpx
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import Engine, event

from benchmarks import cost_seed
from benchmarks.cost_vendors import Counted, VaultPairs, Vendors, prefect
from benchmarks.fleet_lives import sealed
from benchmarks.servers import database, server
from keyturn.clients.budget import Budget
from keyturn.clients.clock import SystemClock
from keyturn.clients.gong.token_endpoint import GongTokenEndpoint
from keyturn.clients.orchestrator import PrefectRuns
from keyturn.clients.stackone.hub import StackOneHub
from keyturn.clients.transport import Transport, Vendor
from keyturn.domain.gate import Person
from keyturn.ledger.engine import make_engine
from keyturn.ledger.observatory import PostgresObservatory
from keyturn.ledger.outbox import PostgresOutbox
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import Window
from keyturn.services import alarms
from keyturn.services.check import Checking
from keyturn.services.listed_once import ListedOnce
from keyturn.services.lost_runs import LostRuns
from keyturn.services.manifest_folder import Folder
from keyturn.services.plan import Planning
from keyturn.services.profile_list import Profiles
from keyturn.services.start import start
from keyturn.services.sweep import Sweep
from keyturn.services.watch import Watch

SIZES = (10, 100, 1_000, 10_000)
MOST_RATIO = 1.2
ALICE = Person("vault:entity/alice", "alice", frozenset({"requester"}), "vault token (userpass)")
_OFTEN = [Window(1_000_000, 1.0)]
_THREADS = 8
_ROUNDS_A_PASS = 15  # of a minute each, as often as the watch goes round until it looks at the same integration again
_LEAST_CLAIM = 200


class _NoWriters:
    """Implements `keyturn.ports.ProfileWriters` for a plan, which shows the choice and makes none."""

    def choose(self) -> tuple[object, object]:
        """What StackOne's document offers is read once, not for each integration; here it is not read at all."""
        return self, _NoWriters.Choice()

    @dataclass(frozen=True)
    class Choice:
        """Nothing chosen."""

        writer: str = "assisted"
        why: str = "nobody was asked"


@dataclass
class Place:
    """A ledger with a fleet, and everybody whom keyturn asks about it."""

    url: str
    count: int
    counted: Counted = field(default_factory=Counted)
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self.engine: Engine = make_engine(self.url)
        self.ledger = PostgresLedger(self.engine, self.clock, 60.0)
        self.outbox = PostgresOutbox(self.engine, self.clock, 60.0)
        self.observatory = PostgresObservatory(self.engine, self.clock, 60.0)
        wire = Vendors(self.counted, self.count)
        self.hub = StackOneHub(self._transport("StackOne", "http://127.0.0.1", wire))
        gong = "http://127.0.0.1/oauth2/generate-customer-token"
        self.gong = GongTokenEndpoint(gong, self._transport("Gong", gong, wire))
        self.secrets, self.runs = VaultPairs(self.counted), PrefectRuns()
        event.listen(self.engine, "before_cursor_execute", lambda *_: self.counted.one("ledger"))

    def _transport(self, name: str, url: str, wire: httpx.BaseTransport) -> Transport:
        return Transport(Vendor(name, url), Budget(name, _OFTEN, self.clock), self.clock, wire)

    # --- what is counted

    def start_onboardings(self) -> None:
        """`keyturn onboard --all`: each manifest registered, an attempt opened, a run started."""
        for n in range(self.count):
            start(self.ledger, self.runs, sealed(n), ALICE)

    def check(self) -> None:
        """The watch until it has looked at everything once, in rounds that a minute suffices for."""
        claim = max(_LEAST_CLAIM, -(-self.count // _ROUNDS_A_PASS))
        before = self.clock.now()
        filed = Folder(Path("/nowhere"))
        checking = Checking(
            self.ledger,
            self.secrets,
            self.gong,
            self.hub,
            self.observatory,
            self.clock,
            filed,  # type: ignore[arg-type]  it only looks
        )
        while keys := self.observatory.claim(self.clock.now(), before, claim):
            checking.check_many(keys, _THREADS, profiles=Profiles(self.hub, self.clock))

    def plan(self) -> None:
        """`keyturn plan --all`."""
        hub = ListedOnce(self.hub)
        planning = Planning(self.ledger, self.secrets, hub, _NoWriters())  # type: ignore[arg-type]  they only look
        for n in range(self.count):
            planning.plan(sealed(n))

    def sweep(self) -> None:
        """The sweep, nothing being due: `GET /rotations/due` asks the same."""
        Sweep(self.ledger, self.runs, self.outbox, self.clock).run(5)

    def remind(self) -> None:
        """Reminders of gates that wait, told or not."""
        alarms.remind(self.ledger, self.outbox, self.clock)

    def watch(self) -> None:
        """The watch over gates and runs, everything being suspended."""
        Watch(self.ledger, self.runs, self.hub, self.clock).tick()
        LostRuns(self.ledger, self.runs, self.outbox, self.clock).find()


@dataclass(frozen=True)
class Measured:
    """Something that a fleet costs.

    Args:
        name: what it is called in the table.
        seed: makes the fleet that it is done to.
        act: does it.
    """

    name: str
    seed: Callable[[str, int], None]
    act: Callable[[Place], None]


MEASURED = (
    Measured("start an onboarding", lambda url, _: cost_seed.registered(url), Place.start_onboardings),
    Measured("check", cost_seed.onboarded, Place.check),
    Measured("plan", cost_seed.onboarded, Place.plan),
    Measured("sweep", cost_seed.onboarded, Place.sweep),
    Measured("remind, first time", lambda url, n: cost_seed.suspended(url, n, days=30), Place.remind),
    Measured("gates and runs", cost_seed.suspended, Place.watch),
)


def cost(url: str, count: int, measured: Measured) -> Mapping[str, float]:
    """What each integration of a fleet costs, in statements and requests, by whom they are sent to."""
    with ExitStack() as stack:
        measured.seed(url, count)
        place = Place(url, count)
        stack.callback(place.engine.dispose)
        stack.enter_context(at(stack.enter_context(prefect(place.counted))))
        place.counted.of.clear()
        measured.act(place)
        return {whom: asked / count for whom, asked in sorted(place.counted.of.items())}


def figures(sizes: tuple[int, ...] = SIZES) -> dict[str, dict[str, dict[int, float]]]:
    """Requests for each integration: by what is done, by whom is asked, by the size of the fleet."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    with server() as postgres:
        for measured in MEASURED:
            for size in sizes:
                with database(postgres) as url:
                    told = cost(url, size, measured)
                for whom, each in told.items():
                    found.setdefault(measured.name, {}).setdefault(whom, {})[size] = each
                print(f"{measured.name}, {size}: {told}", file=sys.stderr)
    return found


@contextmanager
def at(address: str) -> Iterator[None]:
    """Have keyturn find Prefect there, by the plain way and by Prefect's own client."""
    with patch.dict(os.environ, {"PREFECT_API_URL": address}), temporary_settings({PREFECT_API_URL: address}):
        yield


def ratio(by_size: Mapping[int, float]) -> float:
    """What one costs in the largest fleet, by what it costs in the smallest."""
    smallest, largest = min(by_size), max(by_size)
    return by_size[largest] / by_size[smallest]


def markdown(found: Mapping[str, Mapping[str, Mapping[int, float]]]) -> str:
    """The figures as a table."""
    sizes = sorted({size for by_whom in found.values() for by_size in by_whom.values() for size in by_size})
    lines = [f"| for each integration | asked | {' | '.join(f'{size:,}' for size in sizes)} | ratio |"]
    lines.append(f"|---|---|{'---:|' * (len(sizes) + 1)}")
    for name, by_whom in found.items():
        for whom, by_size in by_whom.items():
            cells = " | ".join(f"{by_size.get(size, 0):.2f}" for size in sizes)
            lines.append(f"| {name} | {whom} | {cells} | {ratio(by_size):.2f} |")
    return "\n".join(lines)


def goals(found: Mapping[str, Mapping[str, Mapping[int, float]]]) -> dict[str, dict[str, object]]:
    """For the report: what grows most with the fleet, of each that is done."""
    most = {name: round(max(map(ratio, by_whom.values())), 3) for name, by_whom in found.items()}
    return {name: {"found": grew, "at_most": MOST_RATIO, "met": grew <= MOST_RATIO} for name, grew in most.items()}


def main() -> int:
    """Print the table; 1 if something grows with the fleet by more than it may."""
    found = figures(tuple(map(int, sys.argv[1:])) or SIZES)
    print(markdown(found))
    return int(any(ratio(by_size) > MOST_RATIO for by_whom in found.values() for by_size in by_whom.values()))


if __name__ == "__main__":
    sys.exit(main())
