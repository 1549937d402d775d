"""Fleets for commands over many: manifests in the console's folder, and integrations in its ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from keyturn.domain.integration import IntegrationKey
from tests.cli.conftest import Command


def write(office: Any, count: int) -> list[str]:
    """Manifests of so many integrations beside the one of the test; gives all keys."""
    folder = office.command.folder / "integrations"
    ours = (folder / "ours.yaml").read_text()
    for n in range(count):
        tenant = f"{office.key.tenant[:30]}-{n}"
        text = ours.replace(f"tenant: {office.key.tenant}", f"tenant: {tenant}")
        (folder / f"fleet-{n}.yaml").write_text(text.replace(f"Gong {office.key.tenant}/", f"Gong {tenant}/"))
    return sorted([str(office.key), *(f"{office.key.tenant[:30]}-{n}/production" for n in range(count))])


def attempts(office: Any, keys: Sequence[str]) -> list[int]:
    """How many attempts each integration ever had."""
    return [len(office.ports.ledger.attempts(IntegrationKey.parse(key))) for key in keys]


def stopped(command: Command, *words: str, how: signal.Signals, when: Callable[[], bool]) -> tuple[int, str]:
    """Start a command, stop it in the middle, and give its exit code and what it said."""
    argv = [sys.executable, "-m", "keyturn", *words]
    environment = dict(command.environment)
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=command.folder, env=environment, text=True, **piped) as process:
        ends = monotonic() + 60
        while not when():
            assert process.poll() is None, process.communicate()
            assert monotonic() < ends
            sleep(0.01)
        os.kill(process.pid, how)
        said, told = process.communicate(timeout=60)
    return process.returncode, said + told


def whats(document: Any) -> dict[str, str]:
    """What became of each integration, by key."""
    return {one["key"] or Path(one["given"]).name: one["what"] for one in document["integrations"]}


def read(done: subprocess.CompletedProcess[str]) -> Any:
    """The document of a command."""
    return json.loads(done.stdout)
