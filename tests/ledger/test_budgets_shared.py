"""Four processes share a budget at a vendor that counts arrivals in a strict sliding window."""

from __future__ import annotations

from sqlalchemy import make_url

from benchmarks.budget_worker import Work, begin, ended
from benchmarks.strict_vendor import Terms, report_of, strict_vendor
from keyturn.clients.answer import Call
from keyturn.clients.budget import GIVE, Budget
from keyturn.clients.clock import SystemClock
from keyturn.clients.transport import Transport, Vendor
from keyturn.ledger.budgets import PostgresSlots
from keyturn.ledger.engine import make_engine
from keyturn.ports import Window

PROCESSES = 4
TERMS = Terms(calls=100, seconds=30, before_ms=(0, 60), after_ms=(20, 240))
WINDOWS = [(TERMS.calls, TERMS.seconds)]


def test_four_processes_use_the_limit_and_never_more(url: str) -> None:
    """No call is refused, no window is too full anywhere, and 95 % of what is allowed is used."""
    patient = make_url(url).update_query_dict({"connect_timeout": "60"})  # a busy machine's connections may take long
    ledger = patient.render_as_string(hide_password=False)
    with strict_vendor(TERMS) as vendor:
        said = ended([begin(Work(ledger, vendor, WINDOWS, 50, 6)) for _ in range(PROCESSES)])
        seen = report_of(vendor)
    assert (said["answered"], seen.refused) == (200, [])
    assert seen.fullest(TERMS.seconds) <= TERMS.calls
    # The calls of a window come at its beginning, so the machine has most of it to be late in.
    two_windows_s = 2 * TERMS.seconds * (1 + GIVE)
    arrived = sum(at < seen.arrivals[0] + two_windows_s for at in seen.arrivals)
    assert arrived >= 0.95 * two_windows_s * TERMS.calls / TERMS.seconds


def test_each_on_its_own_they_would_be_refused() -> None:
    """The vendor is strict: the same four with a budget each are told 429."""
    with strict_vendor(TERMS) as vendor:
        ended([begin(Work("", vendor, WINDOWS, 50, 6)) for _ in range(PROCESSES)])
        assert len(report_of(vendor).refused) > 0


def test_a_pause_that_one_hears_holds_for_the_others(url: str) -> None:
    """While the vendor has asked one process to wait, another one sends nothing."""
    with strict_vendor(TERMS) as vendor:
        engine = make_engine(url)
        budget = Budget("Vendor", [Window(*WINDOWS[0])], SystemClock(), PostgresSlots(engine))
        with Transport(Vendor("Vendor", vendor), budget, SystemClock()) as transport:
            transport.ask(Call("GET", "/call"))
            assert transport.ask(Call("GET", "/call?pause=8")).status == 429
        ended([begin(Work(url, vendor, WINDOWS, 1, 1))])
        first, later = report_of(vendor).arrivals
        engine.dispose()
    assert later - first >= 8
