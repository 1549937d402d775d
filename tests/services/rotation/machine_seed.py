"""Where the random rotations begin."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[3]


def _of_the_code() -> int:
    """Every state of the code tries rotations of its own; the same state always the same ones."""
    files = sorted(path for folder in ("flows", "keyturn", "tasks") for path in (ROOT / folder).rglob("*.py"))
    return int.from_bytes(sha256(b"".join(path.read_bytes() for path in files)).digest()[:4], "big")


# `make soak` takes a new one each time.
SEED = int(os.environ.get("KEYTURN_MACHINE_SEED") or _of_the_code())
