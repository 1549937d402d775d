from __future__ import annotations

import runpy
from pathlib import Path

import typer

from keyturn.cli.app import app

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_code_says() -> None:
    """docs/cli.md is as `make docs` would write it, so every command has its place there."""
    written = runpy.run_path(str(ROOT / "docs" / "write.py"))["commands"]()
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == written, "run `make docs`"
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]  # it is a group
        assert f"\n## `keyturn {name}`\n" in written
