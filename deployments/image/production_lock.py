"""Print the part of `requirements.lock` that production needs, each line and digest as it is there.

The lock says of each package what asks for it; what is reached from keyturn's own dependencies and from the extra
`redis` stays. So an image holds no test tools, and nothing that the lock does not pin.

    python production_lock.py pyproject.toml requirements.lock > production.lock
"""

# ruff: noqa: INP001  a program, not a package
from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_OURSELVES = "keyturn"
_EXTRAS = ("redis",)


def production(project: str, lock: str) -> str:
    """The blocks of the lock that are needed; texts in, text out."""
    blocks = {_name(block): block for block in re.split(r"\n(?=[a-z0-9])", "\n" + lock)[1:]}
    kept, queue = set[str](), _wanted(project)
    while queue:
        kept.update(queue)
        queue = {name for name, block in blocks.items() if name not in kept and _asked_for_by(block) & queue}
    return "\n".join(blocks[name].rstrip("\n") for name in sorted(kept)) + "\n"


def _wanted(project: str) -> set[str]:
    ours = tomllib.loads(project)["project"]
    lines = [*ours["dependencies"], *(line for extra in _EXTRAS for line in ours["optional-dependencies"][extra])]
    return {_name(line) for line in lines}


def _name(line: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line, maxsplit=1)[0]).lower()


def _asked_for_by(block: str) -> set[str]:
    """Packages that depend on this one. keyturn is none of them: what it asks for only for tests stays out."""
    _, _, said = block.partition("# via")
    return {_name(line) for line in re.findall(r"[\w.-]+(?=\s*(?:\(|\n|$))", said)} - {_OURSELVES}


if __name__ == "__main__":
    sys.stdout.write(production(*(Path(path).read_text(encoding="utf-8") for path in sys.argv[1:3])))
