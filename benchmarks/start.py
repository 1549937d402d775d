"""How long a command of keyturn takes until it is done: `python benchmarks/start.py`.

In turn with a Python that does nothing and one that imports Prefect, in each round, so that whatever else the machine
does slows all of them. What is shown is the median of all rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.fleet_lives import key_of
from benchmarks.fleet_seed import seed
from benchmarks.servers import database, server
from benchmarks.tables import say, table

ROUNDS = 7
NOTHING, PREFECT = "python -c pass", "python -c 'import prefect'"
ASKED: Mapping[str, Sequence[str]] = {
    NOTHING: ("-c", "pass"),
    PREFECT: ("-c", "import prefect"),
    "keyturn --help": ("-m", "keyturn", "--help"),
    "keyturn onboard --help": ("-m", "keyturn", "onboard", "--help"),
    "keyturn status --all": ("-m", "keyturn", "status", "--all"),
    "keyturn status <key>": ("-m", "keyturn", "status", key_of(42)),
    "the way to Prefect": ("-c", "from keyturn.clients.orchestrator import PrefectRuns"),
}


def figures() -> dict[str, Any]:
    """Seconds of each, and as ratios to both Pythons."""
    with server() as address, database(address) as url:
        seed(url, 100, 10_000)
        environ = {"PATH": os.environ["PATH"], "KEYTURN_LEDGER__URL": url, "PREFECT_API_URL": "http://127.0.0.1:1/api"}
        times: dict[str, list[float]] = {name: [] for name in ASKED}
        for _ in range(ROUNDS):
            for name, words in ASKED.items():
                times[name].append(_seconds(words, environ))
    medians = {name: median(taken) for name, taken in times.items()}
    return {
        "rounds": ROUNDS,
        "commands": {
            name: {
                "median_s": round(taken, 3),
                "times_python": round(taken / medians[NOTHING], 1),
                "share_of_import_prefect": round(taken / medians[PREFECT], 2),
            }
            for name, taken in medians.items()
        },
    }


def _seconds(words: Sequence[str], environ: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], env=dict(environ), capture_output=True, check=False)  # noqa: S603
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.decode()[-500:]}")
    return took


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    rows = [
        (name, f"{one['median_s'] * 1000:.0f} ms", one["times_python"], one["share_of_import_prefect"])
        for name, one in found["commands"].items()
    ]
    return table(("command", "median", "of a Python that does nothing", "of `import prefect`"), rows)


def main() -> None:
    """Measure, and print Markdown."""
    say(shown(figures()))


if __name__ == "__main__":
    main()
