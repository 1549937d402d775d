"""The folder listing is the architecture, and nothing happens at import."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import flows
import keyturn
import tasks

ROOT = Path(__file__).parents[1]
FOLDERS = {"flows", "tasks", "keyturn", "deployments", "integrations", "docs", "tests", "benchmarks"}
FILES = {"pyproject.toml", "prefect.yaml", "requirements.lock", "Makefile", "README.md", "CHANGELOG.md"}
ROOMS = {"cli", "clients", "console", "domain", "ledger", "sandbox", "services", "worker"}
ROOMS |= {"errors", "ports", "settings", "wiring"}
SOURCES = [path for folder in ("keyturn", "flows", "tasks") for path in sorted((ROOT / folder).rglob("*.py"))]
LONGER: dict[str, int] = {}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "shared"}
POISON = {
    "KEYTURN_LEDGER__URL": "poison",
    "KEYTURN_VAULT__ADDR": "poison",
    "KEYTURN_CONFIG": "/poison.toml",
    "KEYTURN_NO_SUCH_SETTING": "poison",
}
IMPORT_ALL = """\
import importlib, json, os, sys

touched = []

def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "os.mkdir", "os.remove"):
        touched.append([event, str(arguments[-1])])
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        touched.append([event, arguments[0]])

sys.dont_write_bytecode = True
# What others do when they are imported is not ours: Prefect makes its home, and urllib3 looks whether IPv6 works.
import prefect.artifacts, prefect.client.orchestration, prefect.flow_runs, prefect.input, prefect.runtime, urllib3
sys.addaudithook(watch)
for name in json.load(sys.stdin):
    importlib.import_module(name)
json.dump(touched, sys.stdout)
"""


def modules() -> list[str]:
    """Every module of the project but those that are programs."""
    found = [
        module.name
        for package in (keyturn, flows, tasks)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    return [name for name in found if not name.endswith("__main__")]


def test_the_top_level_is_as_designed() -> None:
    """Every folder and file has its room, and Python packages are in no other."""
    assert not [name for name in FOLDERS if not (ROOT / name).is_dir()]
    assert not [name for name in FILES if not (ROOT / name).is_file()]
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == {"keyturn", "flows", "tasks"}


def test_each_room_of_keyturn_is_there() -> None:
    """What the import rules name exists."""
    assert not [name for name in ROOMS if f"keyturn.{name}" not in modules()]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long_or_nameless(path: Path) -> None:
    """At most 300 lines, 80 for a flow, and a name that says what is in it."""
    most = LONGER.get(path.name, 80 if path.is_relative_to(ROOT / "flows") else 300)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most
    assert path.stem not in NAMELESS
    assert not any(path.stem.endswith(f"_{word}") for word in NAMELESS)


def test_nothing_happens_at_import(tmp_path: Path) -> None:
    """With a poisoned environment, importing every module opens no connection, writes nothing and starts nothing."""
    clean = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL],
        cwd=tmp_path,
        env={**clean, **POISON, "HOME": str(tmp_path)},
        input=json.dumps(modules()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
