"""An environment for each peer, made from its lock with hashes: `var/peers/airflow`, `var/peers/dbos`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def python_of(peer: str) -> Path:
    """The peer's Python; its environment is made anew when the lock has changed."""
    folder, lock = ROOT / "var" / "peers" / peer, HERE / peer / "requirements.lock"
    python, made_of = folder / "bin" / "python", folder / "made-of"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not made_of.exists() or made_of.read_text() != digest:
        uv = str(Path(sys.executable).with_name("uv"))
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "--quiet", "--require-hashes", "--python", str(python), "--requirement", str(lock))
        made_of.write_text(digest)
    return python


def versions(peer: str, *packages: str) -> dict[str, str]:
    """What of these a peer's lock pins."""
    lines = (HERE / peer / "requirements.lock").read_text().splitlines()
    pinned = dict(line.split()[0].split("==") for line in lines if "==" in line and not line.startswith((" ", "#")))
    return {name: pinned[name] for name in packages}


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)  # noqa: S603  our own words
