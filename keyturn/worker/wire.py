"""What the worker and its fork server tell each other: JSON, one message a line, over a pair of Unix sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """A process to be forked.

    Attributes:
        id: the worker's name for the process, before it has a pid.
        environment: all of it; nothing is inherited. Holds secrets, and so never leaves this machine.
        folder: its working directory.
        stream: whether what it prints goes where the worker's output goes, or nowhere.
        command: a program to become instead of the flow run; empty for the flow run.
    """

    id: str
    environment: Mapping[str, str]
    folder: str
    stream: bool = True
    command: str = ""

    def __repr__(self) -> str:
        return f"Order({self.id!r})"


def order_line(order: Order) -> bytes:
    """Ask for a process."""
    return line({"order": asdict(order)})


def line(message: Mapping[str, Any]) -> bytes:
    """One message. Names and values of variables that are no text travel as escapes."""
    return json.dumps(message).encode("ascii") + b"\n"


class Lines:
    """Puts messages together again from what a socket gives."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are complete now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        yield from map(json.loads, whole)
