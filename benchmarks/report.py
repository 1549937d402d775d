"""All benchmarks, or some, into one report: `python -m benchmarks.report [PART …] [--quick] [--readme]`.

Each part runs in a process of its own. One that fails is reported as failed, and the others go on. Parts that do not
run keep what was found last, with the day and the machine of that time: `results.json` holds everything, `results.md`
is made from it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, machine, versions
from benchmarks.tables import say, table

PARTS: Mapping[str, tuple[str, str]] = {
    "decision": ("benchmarks.decisions", "From a decision to the next stage"),
    "floor": ("benchmarks.floor", "Whole journeys, against a bare script"),
    "checks": ("benchmarks.fleet_checks", "Checks of a fleet"),
    "budgets": ("benchmarks.budgets", "Vendors' budgets, shared by workers"),
    "cost": ("benchmarks.cost_per_integration", "Cost per integration"),
    "suspended": ("benchmarks.suspended", "What suspended attempts hold"),
    "pages": ("benchmarks.console_pages", "Pages of the console"),
    "lists": ("benchmarks.console_fleet", "Lists in the ledger"),
    "start": ("benchmarks.start", "Start of commands"),
    "memory": ("benchmarks.memory", "Memory of each process"),
    "sizes": ("benchmarks.sizes", "Size of each database per attempt"),
}
HERE = Path(__file__).parent
README = ROOT / "README.md"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
_LONGEST_S = 3600.0
_BOUNDS = {"at_most": "at most", "at_least": "at least", "below": "below"}
Results = dict[str, Any]


def run(name: str, *, quick: bool) -> dict[str, Any]:
    """Measure one part now; gives its entry in the report."""
    began, when = time.monotonic(), datetime.now(UTC)
    on, of = machine(), versions()
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "part.json"
        argv = [sys.executable, "-m", "benchmarks.part", PARTS[name][0], str(into), *(["--quick"] if quick else [])]
        found = _outcome(argv, into)
    seconds = round(time.monotonic() - began, 1)
    at = when.isoformat(timespec="seconds")
    return {"at": at, "seconds": seconds, "quick": quick, "machine": on, "versions": of, **found}


def merged(known: Results, found: Mapping[str, Any]) -> Results:
    """The report with new entries in the place of older ones, in the order of the parts."""
    entries = known.get("parts", {}) | dict(found)
    return {"parts": {name: entries[name] for name in PARTS if name in entries}}


def rendered(results: Results) -> str:
    """The report as Markdown."""
    parts = results["parts"]
    sections = [_section(name, entry) for name, entry in parts.items()]
    head = "# Results\n\nMade by `make bench` from `results.json`. What each figure means: [README.md](README.md)."
    return "\n\n".join([head, goals_table(results), *sections]) + "\n"


def goals_table(results: Results) -> str:
    """Every goal, what was found, and whether it was met; parts that failed are among them."""
    rows = [row for name, entry in results["parts"].items() for row in _goals(name, entry)]
    return table(("goal", "part", "wanted", "found", "met"), rows)


def in_readme(text: str, results: Results) -> str:
    """A README with the newest figures between its two markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README has no {BEGIN} … {END}")
    decision = results["parts"].get("decision", {}).get("markdown", "")
    told = "\n\n".join(filter(None, (goals_table(results), decision)))
    return f"{before}{begin}\n{told}\n{end}{after}"


def _outcome(argv: Sequence[str], into: Path) -> dict[str, Any]:
    try:
        done = subprocess.run(argv, cwd=ROOT, timeout=_LONGEST_S, check=False)  # noqa: S603  our own words
    except subprocess.TimeoutExpired:
        return {"failed": f"was not done after {_LONGEST_S:.0f} s"}
    if not into.exists():
        return {"failed": f"ended with code {done.returncode}"}
    found: dict[str, Any] = json.loads(into.read_text())
    return found


def _section(name: str, entry: Mapping[str, Any]) -> str:
    on, of = entry["machine"], entry["versions"]
    where = f"{on['cores']} cores of {on['processor']}, {on['memory_gib']} GiB, {on['system']}"
    ran = ", ".join(f"{name} {version}" for name, version in of.items() if version)
    told = f"**Failed**: {entry['failed']}" if "failed" in entry else entry["markdown"]
    note = " A quick run: it shows that the program works, not what things cost." if entry["quick"] else ""
    when = f"{entry['at']}, {entry['seconds']:.0f} s, load before {on['load_before']}; {where}; {ran}.{note}"
    return f"## {PARTS[name][1]}\n\n{told}\n\n{when}"


def _goals(name: str, entry: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    if "failed" in entry:
        yield ("that it runs", name, "", entry["failed"], "**no**")
        return
    for goal, told in entry["goals"].items():
        wanted = next((f"{words} {told[bound]}" for bound, words in _BOUNDS.items() if bound in told), "")
        met = {True: "yes", False: "**no**", None: "not measured"}[told["met"]]
        yield (goal.replace("_", " "), name, wanted, told.get("found", "nothing"), met)


def main() -> int:
    """Run parts, and write the report; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description="Benchmarks, into benchmarks/results.json and results.md.")
    parser.add_argument("parts", nargs="*", help=f"all by default: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a few of each, where a part can: shows that it works")
    parser.add_argument("--into", type=Path, default=HERE, help="folder of the results")
    parser.add_argument("--readme", action="store_true", help="measure nothing; put the newest figures into the README")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    file = asked.into / "results.json"
    results: Results = json.loads(file.read_text()) if file.exists() else {"parts": {}}
    if asked.readme:
        README.write_text(in_readme(README.read_text(), results))
        return 0
    for name in asked.parts or PARTS:
        say(f"--- {name}")
        found = run(name, quick=asked.quick)
        results = merged(results, {name: found})
        file.write_text(json.dumps(results, indent=1) + "\n")
        (asked.into / "results.md").write_text(rendered(results))
        say(found.get("markdown") or f"FAILED: {found['failed']}")
    return int(any("failed" in results["parts"][name] for name in asked.parts or PARTS))


if __name__ == "__main__":
    sys.exit(main())
