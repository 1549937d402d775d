"""A vendor that counts arrivals in a strict sliding window, over HTTP: `python strict_vendor.py '<JSON of Terms>'`.

It prints its port. A call arrives, is under way for another `before_ms` (drawn anew for each), is counted, and is
answered after `after_ms`: what a call spends before it is counted is what nobody can see from outside. `GET /report`
says when calls were counted and how many were refused. Any other path is a call; `?pause=5` is refused with that
`Retry-After` whatever was counted.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

Span = tuple[float, float]


@dataclass(frozen=True)
class Terms:
    """What the vendor allows, and how slow it is: spans in milliseconds."""

    calls: int
    seconds: float
    before_ms: Span = (0, 0)
    after_ms: Span = (0, 0)


@dataclass(frozen=True)
class Report:
    """What the vendor saw: seconds since some moment at which calls were counted, and how many it refused."""

    arrivals: Sequence[float]
    refused: Sequence[float]

    def fullest(self, seconds: float) -> int:
        """The most arrivals in any window."""
        first, most = 0, 0
        for last, at in enumerate(self.arrivals):
            while self.arrivals[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def share(self, terms: Terms) -> float:
        """Which part of the allowed rate was used, over whole windows: from the first call to the last full window."""
        windows = (len(self.arrivals) - 1) // terms.calls
        last = self.arrivals[windows * terms.calls]
        return windows * terms.seconds / (last - self.arrivals[0])


@dataclass
class _Vendor:
    terms: Terms
    arrivals: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, many calls."""
        while (line := await reader.readline()) and (length := await _rest(reader)) is not None:
            await reader.readexactly(length)
            status, headers, body = await self._answer(line.split()[1].decode())
            head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    async def _answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/report":
            return 200, "", json.dumps({"arrivals": self.arrivals, "refused": self.refused}).encode()
        if "pause=" in path:
            return 429, f"Retry-After: {path.rpartition('=')[2]}\r\n", b""
        await _later(self.terms.before_ms)
        refused = self._full()
        await _later(self.terms.after_ms)
        return (429, "Retry-After: 1\r\n", b"") if refused else (200, "", b"{}")

    def _full(self) -> bool:
        now, calls = time.monotonic(), self.terms.calls
        full = len(self.arrivals) >= calls and self.arrivals[-calls] > now - self.terms.seconds
        (self.refused if full else self.arrivals).append(now)
        return full


@contextmanager
def strict_vendor(terms: Terms) -> Iterator[str]:
    """Run one as a process of its own, and give its address."""
    program = [sys.executable, str(Path(__file__)), json.dumps(asdict(terms))]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603  our own program
        try:
            yield f"http://127.0.0.1:{running.stdout.readline().strip() if running.stdout else ''}"
        finally:
            running.terminate()


def report_of(url: str) -> Report:
    """What a running one has seen."""
    with urllib.request.urlopen(f"{url}/report") as answer:  # noqa: S310  our own address
        return Report(**json.load(answer))


async def _rest(reader: asyncio.StreamReader) -> int | None:
    """Read the headers; gives the length of the body, `None` if the connection ended."""
    length = 0
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return length if line else None


async def _later(span: Span) -> None:
    if span[1]:
        await asyncio.sleep(random.uniform(*span) / 1000)  # noqa: S311  not for secrets


async def _main(terms: Terms) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(listener.getsockname()[1], flush=True)
    async with await asyncio.start_server(_Vendor(terms).serve, sock=listener) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(Terms(**json.loads(sys.argv[1]))))
