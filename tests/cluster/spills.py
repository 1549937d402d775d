"""The search of the end-to-end tests for secrets, over hundreds of them: by grep, in one pass over every file."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.e2e.test_secrets import MAY_HOLD, dump, spellings

_DATABASES = ("prefect", "keyturn")


def spilled(world: Any, secrets: Collection[str]) -> list[str]:
    """Files and databases in which one of the secrets stands in any spelling, where none may be.

    Args:
        world: anything with a `running` cluster.
        secrets: what to look for.
    """
    state: Path = world.running.children.state
    with tempfile.TemporaryDirectory(prefix="kt-search-") as private:
        patterns = Path(private) / "patterns"
        patterns.write_bytes(b"\n".join(sorted(s for secret in secrets for s in spellings(secret))) + b"\n")
        for database in _DATABASES:
            (Path(private) / f"{database}.dump").write_bytes(dump(world, database))
        dumps = [Path(private) / f"{database}.dump" for database in _DATABASES]
        _require_that_it_finds(patterns, state / "gong.json")
        kept = [entry for entry in state.iterdir() if entry.name not in MAY_HOLD]
        return _found(patterns, [*kept, *world.running.openbao.audit_files, *dumps])


def _require_that_it_finds(patterns: Path, where: Path) -> None:
    """A search that finds nothing where the secrets are would find nothing anywhere."""
    if not _found(patterns, [where]):
        raise LookupError(f"the search does not find in {where.name} what is there")


def _found(patterns: Path, where: list[Path]) -> list[str]:
    words = ["grep", "--recursive", "--files-with-matches", "--text", "--fixed-strings", "--devices=skip", "-s"]
    done = subprocess.run(
        [*words, f"--file={patterns}", "--", *map(str, where)],
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()
