"""What is deployed for Prometheus, tried out with Prometheus and its own tools."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from pydantic import BaseModel
from ruamel.yaml import YAML

from keyturn.cli.app import app
from keyturn.settings import Settings
from tests.console.serving import until
from tests.deployments.monitored import DEPLOYED, Prometheus, deployed, program

RULES: list[dict[str, Any]] = [
    rule for group in YAML(typ="safe").load((DEPLOYED / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
CASES: list[dict[str, Any]] = YAML(typ="safe").load((DEPLOYED / "rules_test.yml").read_text())["tests"]
README = (DEPLOYED / "README.md").read_text()
PARTS = re.compile(r"_(bucket|sum|count)$")
OWN = re.compile(r"\b((?:keyturn|process|python)_\w+)")


def promtool(folder: Path, *arguments: str, told: str = "") -> str:
    """Run it in a folder; what it says, if it is content."""
    run = [program("promtool"), *arguments]
    done = subprocess.run(run, cwd=folder, input=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def exposed(text: str) -> set[str]:
    """The names of all metrics in an exposition, whether they have a sample at the moment or not."""
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def named(expression: str) -> set[str]:
    """The metrics of keyturn's and of its processes' that an expression is about."""
    without_words = re.sub(r'"[^"]*"', "", expression)
    return {PARTS.sub("", name) for name in OWN.findall(without_words)}


def test_promtool_takes_what_is_deployed(tmp_path: Path) -> None:
    """The configuration with its rules is valid as it is, once there is a token beside it."""
    deployed(tmp_path)
    assert f"{len(RULES)} rules found" in promtool(tmp_path, "check", "config", "--lint-fatal", "prometheus.yml")


def test_the_rules_own_tests_pass(tmp_path: Path) -> None:
    """Each alert fires when it should, and not before."""
    assert "SUCCESS" in promtool(deployed(tmp_path).parent, "test", "rules", "rules_test.yml")


def test_a_rule_that_is_changed_fails_its_test(tmp_path: Path) -> None:
    """The tests of the rules look at what they say they look at: a limit ten times as high does not pass them."""
    file = deployed(tmp_path).parent / "rules.yml"
    for expression in {rule["expr"] for rule in RULES if re.search(r"> 3 \* 86400|> 3600$", rule["expr"])}:
        file.write_text((DEPLOYED / "rules.yml").read_text().replace(expression, f"{expression}0"))
        with pytest.raises(AssertionError, match="FAILED"):
            promtool(tmp_path, "test", "rules", "rules_test.yml")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_is_tested_both_ways(rule: dict[str, Any]) -> None:
    """There is a moment at which it fires, and one before that at which it does not."""
    tests = [(t["expr"], t["exp_samples"]) for case in CASES for t in case.get("promql_expr_test", ())]
    mine = [
        samples
        for expression, samples in tests
        if (name := re.search(r'alertname=~?"([^"]+)"', expression)) and re.fullmatch(name[1], rule["alert"])
    ]
    assert [] in mine
    assert any(mine)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """It has a severity, and says in whole sentences what is wrong, what that means, and what to do first."""
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert list(rule["annotations"]) == ["summary", "description", "runbook"]
    assert all(said[0].isupper() or said[0] in "{`" for said in rule["annotations"].values())
    assert all(said.endswith(".") for said in rule["annotations"].values())


def commands(command: click.Command, path: str = "") -> Iterator[str]:
    """Every command of keyturn, as in `rotate start`."""
    for name, inner in getattr(command, "commands", {}).items():
        yield f"{path}{name}"
        yield from commands(inner, f"{path}{name} ")


def variables(model: type[BaseModel], prefix: str = "KEYTURN_") -> Iterator[str]:
    """Every setting, as a variable."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}".upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, f"{prefix}{name}__")


def test_what_the_alerts_tell_people_to_run_exists() -> None:
    """Every command and every setting that is named in an alert or in the README is one of keyturn's."""
    said = README + "".join(" ".join(rule["annotations"].values()) for rule in RULES)
    known = set(commands(typer.main.get_command(app)))
    run = {match.strip() for match in re.findall(r"`keyturn ((?:[a-z]+ ?)+)", said)}
    assert run
    assert {words for words in run if words not in known} == set()
    assert set(re.findall(r"KEYTURN_\w+", said)) <= set(variables(Settings))


def test_the_console_is_scraped(prometheus: Prometheus) -> None:
    """With its token, by the deployed configuration: the target is up, and its metrics can be asked for."""
    until(lambda: prometheus.query("keyturn_integrations"), within_s=30)
    (up,) = prometheus.query("up")
    assert (up[0]["job"], up[1]) == ("keyturn", 1)
    states = {labels["state"]: value for labels, value in prometheus.query("keyturn_integrations")}
    assert states == {"halted": 0, "waiting": 1, "moving": 1, "live": 0, "ended": 0}
    ((_, left),) = prometheus.query('keyturn_grace_seconds_left{verified="no"}')
    assert 0 < left <= 7 * 86_400
    assert prometheus.query('keyturn_vendor_calls_total{vendor="gong", outcome="refused"}')[0][1] == 1


def test_the_token_is_in_no_answer_of_prometheus(prometheus: Prometheus) -> None:
    """It is read from a file, so Prometheus shows it to nobody."""
    assert "credentials_file" in prometheus.api("status/config")["yaml"]
    assert "a-token-for-prometheus" not in str(prometheus.api("status/config")) + str(prometheus.api("targets"))


def test_the_rules_are_loaded_and_evaluated(prometheus: Prometheus) -> None:
    """Each alert is known to Prometheus and was evaluated without an error; those about this ledger fire."""

    def rules() -> dict[str, Mapping[str, Any]]:
        groups = prometheus.api("rules", type="alert")["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    until(lambda: {rule["health"] for rule in rules().values()} == {"ok"}, within_s=30)
    assert rules().keys() == {rule["alert"] for rule in RULES}
    assert {rule["lastError"] for rule in rules().values() if "lastError" in rule} == set()
    until(lambda: rules()["KeyturnIntegrationRaised"]["state"] == "firing", within_s=30)
    until(lambda: rules()["KeyturnConsoleDown"]["state"] == "inactive", within_s=30)


def test_prometheus_own_checker_is_content(prometheus: Prometheus, tmp_path: Path) -> None:
    """Promtool finds no fault in what a console with data exposes."""
    assert promtool(tmp_path, "check", "metrics", told=prometheus.scraped()) == ""


def test_the_rules_ask_for_metrics_that_there_are(prometheus: Prometheus) -> None:
    """An alert about a metric that nobody exposes would be silent for ever."""
    asked = {name for rule in RULES for name in named(rule["expr"])}
    assert asked - exposed(prometheus.scraped()) == set()
    series = {name for case in CASES for s in case["input_series"] for name in named(s["series"])}
    assert series - exposed(prometheus.scraped()) == set()


def test_the_readme_has_every_metric_with_its_labels(prometheus: Prometheus) -> None:
    """Nobody has to look into the code for what there is: the table has each metric of keyturn's, and no other."""
    rows = re.findall(r"^\| `(keyturn_\w+)` \| (.*?) ?\|", README, re.MULTILINE)
    text = prometheus.scraped()
    assert {name for name, _ in rows} == {name for name in exposed(text) if name.startswith("keyturn_")}
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    for name, labels in re.findall(r"^(keyturn_\w+?)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        base = name if name in told else PARTS.sub("", name)
        assert set(re.findall(r'(\w+)="', labels)) <= told[base], name
