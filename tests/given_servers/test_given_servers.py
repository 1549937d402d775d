"""The same code on servers that settings name, instead of those that come with pip."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from keyturn.domain.verdict import Layer
from keyturn.sandbox.demo import Demo
from keyturn.sandbox.scene import KEY, CommandLine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_migrations_go_up_and_down(postgres: Any, given: Any) -> None:
    """As a role that owns one database and nothing else; `keyturn db status` says what is pending."""
    environment = {**given.environment, "KEYTURN_LEDGER__URL": postgres.create("up_and_down")}
    command = CommandLine(environment)
    before = command.run("db", "status", "--json")
    assert (before.returncode, json.loads(before.stdout)["current"]) == (1, None)
    for _ in range(2):
        assert json.loads(command.must("db", "upgrade", "--json"))["applied"] == json.loads(before.stdout)["pending"]
        assert json.loads(command.must("db", "status", "--json"))["pending"] == []
        assert json.loads(command.must("db", "downgrade", "base", "--yes", "--json")) == {"current": None}


def test_a_whole_onboarding(given: Any, postgres: Any, ports: Any, cast: Any) -> None:
    """From a manifest to a verdict in which every layer has passed, and then `keyturn doctor` finds nothing wrong."""
    given.command.must("db", "upgrade")
    told: list[str] = []
    report = Demo(cast, ports, told.append).play()
    assert report["ok"], told
    assert report["verdict"] == {layer.value: "passed" for layer in Layer}
    checks = json.loads(given.command.must("doctor", "--json"))["checks"]
    assert [check["name"] for check in checks if not check["ok"]] == []
    assert "current: none" not in given.command.must("db", "status")
    with psycopg.connect(postgres.url("keyturn")) as ledger, given.openbao.api() as vault:
        assert ledger.execute("SELECT count(*) FROM receipts").fetchone() == (len(report["stages"]),)
        (version,) = ledger.execute("SELECT version()").fetchone()  # type: ignore[misc]  # one row
        stored = vault.read(f"keyturn/data/{KEY}/client")["data"]
        raft = vault.read("sys/storage/raft/configuration")["data"]["config"]["servers"]
    assert "Debian" in version
    assert (stored["metadata"]["version"], set(stored["data"])) == (1, {"client_id", "client_secret"})
    assert [server["voter"] for server in raft] == [True]


def test_a_vault_whose_certificate_nobody_vouches_for_is_not_trusted(given: Any) -> None:
    """Without the CA's file nothing is sent to it, and the sentence names the setting."""
    command = CommandLine({**given.environment, "KEYTURN_VAULT__CA_FILE": "", "VAULT_TOKEN": "s.nobody"})
    done = command.run("submit", str(KEY), "--stdin", given="id\nsecret\n")
    assert done.returncode != 0
    assert "KEYTURN_VAULT__CA_FILE" in done.stderr
