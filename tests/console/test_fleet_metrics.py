"""What the ledger says of the fleet, as Prometheus gets it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from keyturn.console.fleet_metrics import fleet_metrics
from keyturn.domain.attempt import Stage
from keyturn.domain.fleet import FleetHealth, FleetState, Pictures, StageTimes
from keyturn.domain.gate import GateKind
from keyturn.domain.gauges import CallOutcome, Readings
from keyturn.domain.health import Cause
from keyturn.domain.verdict import Layer, LayerStatus

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def lines(pictures: Pictures | None = None, readings: Readings | None = None) -> list[str]:
    """The samples in Prometheus' text format."""
    families = list(fleet_metrics(pictures or Pictures(NOW), readings or Readings(NOW)))

    class Once(Collector):
        def collect(self) -> list[Metric]:
            return families

    registry = CollectorRegistry()
    registry.register(Once())
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def of(name: str, found: list[str]) -> list[str]:
    """The samples of one metric that are not 0, without its name."""
    return [
        line.removeprefix(name) for line in found if line.startswith((f"{name}{{", f"{name} ")) and line[-4:] != " 0.0"
    ]


def test_integrations() -> None:
    """By state, by health, and by cause."""
    found = lines(
        Pictures(
            NOW,
            total=7,
            states={FleetState.LIVE: 5, FleetState.HALTED: 2},
            healths={FleetHealth.NEVER: 7},
            causes={Cause.SECRET_RESET: 1},
            overdue=3,
        )
    )
    assert of("keyturn_integrations", found) == ['{state="halted"} 2.0', '{state="live"} 5.0']
    assert of("keyturn_integrations_health", found) == ['{health="never checked"} 7.0']
    assert of("keyturn_conditions", found) == ['{cause="secret_reset"} 1.0']
    assert of("keyturn_rotations_overdue", found) == [" 3.0"]


def test_what_can_be_counted_is_never_missing() -> None:
    """Where nothing is, each word still has its series with 0: an alert sees it begin, and a graph has no gaps."""
    counted = Counter(line.partition("{")[0].partition(" ")[0] for line in lines())
    assert counted["keyturn_integrations"] == len(FleetState)
    assert counted["keyturn_integrations_health"] == len(FleetHealth)
    assert counted["keyturn_conditions"] == len(Cause)
    assert counted["keyturn_gates_open"] == len(GateKind)
    assert counted["keyturn_verdict_layers"] == len(Layer) * len(LayerStatus)
    assert counted["keyturn_vendor_calls_total"] == 2 * len(CallOutcome)
    assert counted["keyturn_notifications_given_up_total"] == 1


def test_what_is_not_there_has_no_age() -> None:
    """No gate, grace, secret, check and so on means no series, and never an age of 0, which would be a good one."""
    parts = ("gate_age", "condition_age", "grace_seconds", "stage_duration", "secret_age_max", "oldest_check")
    assert not [line for line in lines() if line.startswith(tuple(f"keyturn_{part}" for part in parts))]


def test_secret_ages_add_up() -> None:
    """Each bound counts all that are younger, as Prometheus has it; the last one counts all."""
    found = lines(Pictures(NOW, ages={7: 3, 30: 2, 365: 1, 0: 4}), Readings(NOW, oldest_secret=NOW - 400 * DAY))
    bounds = {
        "604800.0": 3,
        "2592000.0": 5,
        "5184000.0": 5,
        "7776000.0": 5,
        "15552000.0": 5,
        "31536000.0": 6,
        "+Inf": 10,
    }
    assert of("keyturn_secret_age_seconds_bucket", found) == [f'{{le="{le}"}} {n}.0' for le, n in bounds.items()]
    assert of("keyturn_secret_age_max_seconds", found) == [" 3.456e+07"]


def test_gates_and_conditions() -> None:
    """How many, and for how long the oldest one."""
    readings = Readings(
        NOW,
        gates={GateKind.CONSENT: (2, NOW - HOUR), GateKind.GRACE: (1, NOW)},
        raised={Cause.NOT_SEEN: NOW - DAY},
    )
    found = lines(readings=readings)
    assert of("keyturn_gates_open", found) == ['{kind="consent"} 2.0', '{kind="grace"} 1.0']
    assert of("keyturn_gate_age_seconds", found) == ['{kind="consent"} 3600.0']
    assert of("keyturn_condition_age_seconds", found) == ['{cause="not_seen"} 86400.0']


def test_graces() -> None:
    """What is left of a grace, below 0 when it is over; verified and unverified apart."""
    found = lines(readings=Readings(NOW, graces={True: NOW + DAY, False: NOW - HOUR}))
    assert of("keyturn_grace_seconds_left", found) == ['{verified="yes"} 86400.0', '{verified="no"} -3600.0']


def test_verdicts_and_stages() -> None:
    """By layer and status; and by stage, people's time and the machine's apart."""
    found = lines(
        Pictures(NOW, times=(StageTimes(Stage.APPROVE, 3600.0, 0.5, 4),)),
        Readings(NOW, layers={(Layer.L1, LayerStatus.NOT_TESTED): 9}),
    )
    assert of("keyturn_verdict_layers", found) == ['{layer="L1",status="not tested"} 9.0']
    assert of("keyturn_stage_duration_seconds", found) == [
        '{stage="approve",who="human"} 3600.0',
        '{stage="approve",who="machine"} 0.5',
    ]


def test_watch_notices_and_calls() -> None:
    """How far behind the watch is, what people were not told, and what became of requests to vendors."""
    calls = {("gong", CallOutcome.RATE_LIMITED): 2, ("another", CallOutcome.OK): 1}
    readings = Readings(NOW, oldest_check=NOW - HOUR, unchecked=4, owed=3, failing=2, given_up=1, calls=calls)
    found = lines(readings=readings)
    assert of("keyturn_oldest_check_seconds", found) == [" 3600.0"]
    assert of("keyturn_integrations_unchecked", found) == [" 4.0"]
    assert of("keyturn_notifications_owed", found) == [" 3.0"]
    assert of("keyturn_notifications_failed", found) == [" 2.0"]
    assert of("keyturn_notifications_given_up_total", found) == [" 1.0"]
    assert of("keyturn_vendor_calls_total", found) == [
        '{outcome="ok",vendor="another"} 1.0',
        '{outcome="rate_limited",vendor="gong"} 2.0',
    ]


def test_a_clock_that_was_put_back() -> None:
    """What seems to have begun in the future is 0 seconds old."""
    found = lines(readings=Readings(NOW, gates={GateKind.CONSENT: (1, NOW + HOUR)}))
    assert 'keyturn_gate_age_seconds{kind="consent"} 0.0' in found
