"""What `keyturn doctor` finds out about one thing it looks at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One fact about a dependency.

    Attributes:
        name: what was looked at, e.g. `vault: mount`.
        ok: whether it is as it must be; `None` when it could not be told, or works but deserves attention.
        found: what was seen, a clause.
        remedy: what a person does about it; empty when nothing is to be done.
    """

    name: str
    ok: bool | None
    found: str
    remedy: str = ""
