"""Ports that may be missing: a setting is not there, or a sign-in."""

from __future__ import annotations

from typing import Any, NoReturn

from keyturn.errors import KeyturnError
from keyturn.wiring import Ports


def within_reach(ports: Ports, name: str) -> Any:  # noqa: ANN401  a port of some kind, or what stands for it
    """A port, or something that fails with the reason whenever it is asked."""
    try:
        return getattr(ports, name)
    except KeyturnError as error:
        return _OutOfReach(error)


class _OutOfReach:
    def __init__(self, reason: KeyturnError) -> None:
        self._reason = reason

    def __getattr__(self, name: str) -> NoReturn:
        raise self._reason
