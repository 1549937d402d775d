"""The threat model names a test for each claim, and that test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "docs" / "threat-model.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")


def names_in(path: str) -> set[str]:
    """The names of a file's tests, as written."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_is_named_exists() -> None:
    """A guard that was renamed or removed is noticed here."""
    named = NAMED.findall(MODEL.read_text(encoding="utf-8"))
    assert named
    missing = [f"{path}::{test}" for path, test in named if not (ROOT / path).is_file()]
    missing += [
        f"{path}::{test}" for path, test in named if test and (ROOT / path).is_file() and test not in names_in(path)
    ]
    assert missing == []


def test_every_claim_names_its_guard() -> None:
    """No row of the tables of threats is without a test."""
    rows = [line for line in MODEL.read_text(encoding="utf-8").splitlines() if re.match(r"\| [STRIDE]\b", line)]
    assert rows
    assert [row for row in rows if not NAMED.search(row)] == []
