"""One part of the report in a process of its own: `python -m benchmarks.part benchmarks.start figures.json`.

A part is a module with `figures()`, which measures, and `shown(figures)` or `markdown(figures)`, which say it in
Markdown. One that can be short has `QUICK`, and its `figures` takes that. Goals are what `goals(figures)` gives, or
stand anywhere in the figures: whatever says whether it is `met`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_NAMING = ("bound", "processes")  # what tells the rows of a list apart


def measured(module: str, *, quick: bool) -> dict[str, Any]:
    """What the part found, or why it found nothing."""
    try:
        part = importlib.import_module(module)
        found = part.figures(part.QUICK) if quick and hasattr(part, "QUICK") else part.figures()
        shown = part.shown if hasattr(part, "shown") else part.markdown
        goals = part.goals(found) if hasattr(part, "goals") else dict(goals_in(found))
        return {"figures": found, "goals": goals, "markdown": shown(found)}
    except Exception as fault:  # noqa: BLE001  whatever it is, the report tells of it, and the other parts go on
        traceback.print_exc()
        return {"failed": f"{type(fault).__name__}: {fault}"}


def goals_in(found: object, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every goal among figures, by the names that lead there; one without a bound of its own has it in `goal`."""
    if isinstance(found, Mapping) and "met" in found:
        bound = {"at_least": found["goal"], "found": found.get("ratio")} if found.get("goal") is not None else {}
        if bound or "found" in found:
            yield name, dict(found) | bound
    elif isinstance(found, Mapping):
        for inner, value in found.items():
            yield from goals_in(value, " ".join(filter(None, (name.removeprefix("goals").strip(), str(inner)))))
    elif isinstance(found, list):
        for value in found:
            words = [str(v) for k, v in value.items() if k in _NAMING] if isinstance(value, Mapping) else []
            yield from goals_in(value, ", ".join(words) or name)


def main() -> None:
    """Measure, and write it down as JSON."""
    parser = argparse.ArgumentParser(description="Measure one part.")
    parser.add_argument("module")
    parser.add_argument("into", type=Path)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    asked.into.write_text(json.dumps(measured(asked.module, quick=asked.quick)))


if __name__ == "__main__":
    main()
