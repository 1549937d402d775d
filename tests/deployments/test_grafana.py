"""The dashboard for Grafana: it asks for what there is, and shows all of it."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.console.serving import until
from tests.deployments.monitored import Prometheus
from tests.deployments.test_prometheus import exposed, named

FILE = Path(__file__).parents[2] / "deployments" / "grafana" / "keyturn.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS: list[dict[str, Any]] = [target for panel in PANELS for target in panel["targets"]]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


def asked(target: dict[str, Any]) -> str:
    """The expression, as Grafana sends it."""
    return str(target["expr"]).replace("$__rate_interval", "2m")


def test_any_prometheus_can_be_chosen() -> None:
    """Every panel and every question is about the Prometheus that a variable names, and no other place."""
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    sources = [part["datasource"] for part in (*PANELS, *TARGETS, *DASHBOARD["annotations"]["list"])]
    assert [source for source in sources if source != SOURCE] == []
    assert "http" not in FILE.read_text().replace("keyturn_http", "")


def test_panels_can_be_told_apart() -> None:
    """Each has its own number and title, and questions with letters of their own."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)
    assert all(len({t["refId"] for t in panel["targets"]}) == len(panel["targets"]) for panel in PANELS)


def test_panels_lie_side_by_side() -> None:
    """None is outside of the page, and none covers another."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= WIDTH
        assert not cells & taken, panel["title"]
        taken |= cells


def test_it_shows_every_metric_and_no_other(prometheus: Prometheus) -> None:
    """A metric that nobody exposes would leave a panel empty for ever; one that no panel shows is for nobody."""
    there = exposed(prometheus.scraped())
    shown = {name for target in TARGETS for name in named(target["expr"])}
    assert shown - there == set()
    assert {name for name in there if name.startswith("keyturn_")} - shown == set()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: re.sub(r"\W+", "_", target["expr"])[:60])
def test_prometheus_answers_each_question(prometheus: Prometheus, target: dict[str, Any]) -> None:
    """It takes the expression, and what comes back has the labels that its legend names, and no series twice."""
    until(lambda: prometheus.query("keyturn_integrations"), within_s=30)
    found = prometheus.query(asked(target))
    legends = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    assert all(legends <= labels.keys() for labels, _ in found)
    assert legends or len(found) <= 1


def test_a_fleet_is_shown_once_however_many_replicas_tell_of_it() -> None:
    """Every replica says the same of the fleet, so nothing of it is shown by replica, or added up."""
    of_replicas = re.compile(r"keyturn_(http_|ledger_up|build_info)|process_|ALERTS")
    for target in TARGETS:
        if not of_replicas.search(target["expr"]):
            assert re.match(r"(sum\()?(max|min)( by \([\w, ]+\))? ?\(", target["expr"]), target["expr"]
