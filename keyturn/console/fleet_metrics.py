"""What the ledger says of the fleet, as metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.metrics_core import Metric

from keyturn.domain.fleet import AGE_BOUNDS, FleetHealth, FleetState, Pictures, StageTimes
from keyturn.domain.gate import GateKind
from keyturn.domain.gauges import CallOutcome, Readings
from keyturn.domain.health import Cause
from keyturn.domain.verdict import Layer, LayerStatus

Kind = TypeVar("Kind", bound=StrEnum)

VENDORS = ("gong", "stackone")
_DAY_S = 86_400


def fleet_metrics(pictures: Pictures, readings: Readings) -> Iterator[Metric]:
    """All of them. What can be counted is there with 0, so that no series comes and goes."""
    yield from _integrations(pictures)
    yield from _secrets(pictures, readings)
    yield from _gates(readings)
    yield from _verdicts(readings)
    yield _stages(pictures.times)
    yield from _watch(readings)
    yield from _notices(readings)
    yield _calls(readings)


def _integrations(pictures: Pictures) -> Iterator[Metric]:
    yield _counted("keyturn_integrations", "Integrations by where they stand.", "state", FleetState, pictures.states)
    yield _counted(
        "keyturn_integrations_health",
        "Integrations by how the watch left them.",
        "health",
        FleetHealth,
        pictures.healths,
    )
    yield _counted("keyturn_conditions", "Integrations that have a cause raised.", "cause", Cause, pictures.causes)


def _secrets(pictures: Pictures, readings: Readings) -> Iterator[Metric]:
    ages = Histogram("keyturn_secret_age_seconds", "How old the secrets in use are, now: a distribution, no counter.")
    counts = accumulate(pictures.ages.get(days, 0) for days in AGE_BOUNDS)
    bounds = [str(float(days * _DAY_S)) if days else "+Inf" for days in AGE_BOUNDS]
    ages.add_metric((), list(zip(bounds, counts, strict=True)), None)
    yield ages
    yield _aged(
        "keyturn_secret_age_max_seconds", "Age of the oldest secret in use.", readings.at, readings.oldest_secret
    )
    yield Gauge("keyturn_rotations_overdue", "Secrets that are past their due date.", pictures.overdue)
    left = Gauge(
        "keyturn_grace_seconds_left",
        "Until the first old secret may die, by whether the new one is verified.",
        labels=("verified",),
    )
    for verified, end in readings.graces.items():
        left.add_metric(("yes" if verified else "no",), (end - readings.at).total_seconds())
    yield left


def _gates(readings: Readings) -> Iterator[Metric]:
    counts = {kind: count for kind, (count, _) in readings.gates.items()}
    yield _counted("keyturn_gates_open", "Open gates.", "kind", GateKind, counts)
    oldest = {kind: since for kind, (_, since) in readings.gates.items()}
    yield _ages("keyturn_gate_age_seconds", "How long the oldest open gate is waited at.", "kind", oldest, readings.at)
    yield _ages(
        "keyturn_condition_age_seconds",
        "How long a cause is raised, where longest.",
        "cause",
        readings.raised,
        readings.at,
    )


def _verdicts(readings: Readings) -> Iterator[Metric]:
    layers = Gauge(
        "keyturn_verdict_layers", "Integrations by what their last test said of a layer.", labels=("layer", "status")
    )
    for layer in Layer:
        for status in LayerStatus:
            layers.add_metric((layer, status), readings.layers.get((layer, status), 0))
    yield layers


def _stages(times: Sequence[StageTimes]) -> Metric:
    says = "Median time of a stage in the last 90 days, by whose time it was."
    seconds = Gauge("keyturn_stage_duration_seconds", says, labels=("stage", "who"))
    for each in times:
        seconds.add_metric((each.stage, "human"), each.human_s)
        seconds.add_metric((each.stage, "machine"), each.machine_s)
    return seconds


def _watch(readings: Readings) -> Iterator[Metric]:
    yield _aged(
        "keyturn_oldest_check_seconds",
        "Since a worker took on the integration that is longest unseen.",
        readings.at,
        readings.oldest_check,
    )
    yield Gauge("keyturn_integrations_unchecked", "Integrations that no worker has taken on yet.", readings.unchecked)


def _notices(readings: Readings) -> Iterator[Metric]:
    yield Gauge("keyturn_notifications_owed", "Notices that people are still to be told.", readings.owed)
    yield Gauge(
        "keyturn_notifications_failed", "Those of them that a channel did not take the last time.", readings.failing
    )
    yield Counter("keyturn_notifications_given_up", "Notices that were never told by all channels.", readings.given_up)


def _calls(readings: Readings) -> Metric:
    calls = Counter("keyturn_vendor_calls", "Requests to vendors, of all processes.", labels=("vendor", "outcome"))
    known = {vendor for vendor, _ in readings.calls}
    for vendor in sorted({*VENDORS, *known}):
        for outcome in CallOutcome:
            calls.add_metric((vendor, outcome), readings.calls.get((vendor, outcome), 0))
    return calls


def _counted(name: str, says: str, label: str, kinds: type[Kind], counts: Mapping[Kind, int]) -> Metric:
    family = Gauge(name, says, labels=(label,))
    for kind in kinds:
        family.add_metric((kind.value,), counts.get(kind, 0))
    return family


def _ages(name: str, says: str, label: str, since: Mapping[Kind, datetime], at: datetime) -> Metric:
    """Only of what there is: something that is not there has no age."""
    family = Gauge(name, says, labels=(label,))
    for kind, began in since.items():
        family.add_metric((kind.value,), _seconds(began, at))
    return family


def _aged(name: str, says: str, at: datetime, since: datetime | None) -> Metric:
    return Gauge(name, says, None if since is None else _seconds(since, at))


def _seconds(since: datetime, until: datetime) -> float:
    return max(0.0, (until - since).total_seconds())
