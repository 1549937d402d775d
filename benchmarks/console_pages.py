"""What a page and the API's list cost with 100 integrations and with 10,000: `python benchmarks/console_pages.py`.

A console for each fleet runs under uvicorn in a process of its own, both on one PostgreSQL, and they are asked in turn,
so that whatever else the machine does slows both. Since that only ever adds, what is shown is the time that a tenth of
all rounds stayed below. Afterwards 10,000 requests go to the larger one, and its memory is looked at on the way.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from statistics import quantiles
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # ships no types
from fastapi import FastAPI

from benchmarks.fleet_lives import key_of
from benchmarks.fleet_seed import seed
from benchmarks.servers import database, server
from benchmarks.tables import say, table
from keyturn import settings
from keyturn.console.app import create_app
from keyturn.console.visitor import SESSION_COOKIE
from keyturn.domain.gate import Person
from keyturn.ports import PersonalVault
from keyturn.wiring import Ports

SMALL, LARGE = (100, 10_000), (10_000, 1_000_000)
ROUNDS, REQUESTS, AT_ONCE, LOOKS = 100, 10_000, 4, 10
API = "/api/v1"
PERSON = Person("oidc:bench#olga", "olga", frozenset({"operator"}), "openid (benchmark)")
ASKED: Mapping[str, str] = {
    "fleet page": "/",
    "fleet page by key": "/?sort=key",
    "inbox": "/inbox",
    "integration page": f"/integrations/{key_of(42)}",
    "API: list": f"{API}/integrations",
    "API: list by key": f"{API}/integrations?sort=key",
    "API: two that wait for a group": f"{API}/integrations?group=approver&limit=2",
    "API: list, part of the key": f"{API}/integrations?text=00042",
    "API: one integration": f"{API}/integrations/{key_of(42)}",
}


class Known:
    """Everybody is one person: whose token it is would be asked of Vault or a provider, and is not measured here."""

    def known(self, _token: str) -> Person:
        """Olga."""
        return PERSON

    def vault(self, _token: str, person: Person) -> PersonalVault:
        """Never asked for: nothing that is measured hands anything in, and if it did, the figures would be wrong."""
        raise AssertionError(f"{person.name} was to hand something in")


def app() -> FastAPI:
    """The console that a child process serves."""
    made = create_app(Ports(settings.load()))
    made.state.bearers = Known()
    return made


@dataclass(frozen=True)
class Console:
    """A console in a process of its own, and somebody signed in there."""

    process: psutil.Process
    http: httpx.Client

    def ask(self, path: str) -> float:
        """Read something; gives how many seconds that took."""
        began = time.perf_counter()
        answer = self.http.get(path)
        took = time.perf_counter() - began
        if answer.status_code != httpx.codes.OK:
            raise RuntimeError(f"{path} was answered with {answer.status_code}: {answer.text[:300]}")
        return took

    def memory_mib(self) -> float:
        """What it holds now, resident."""
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def console(url: str) -> Iterator[Console]:
    """Serve a console on this ledger."""
    token, ports = secrets.token_urlsafe(32), Ports(settings.load({"KEYTURN_LEDGER__URL": url}))
    ports.visits.begin(token, PERSON, ports.clock.now() + timedelta(hours=8))
    ports.ledger.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # uvicorn does not, if given one
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environ = {"PATH": os.environ["PATH"], "KEYTURN_LEDGER__URL": url, "KEYTURN_CONSOLE__IDLE_S": "28800"}
        argv = ["-m", "uvicorn", "--factory", "benchmarks.console_pages:app", "--fd", str(listener.fileno())]
        with subprocess.Popen(  # noqa: S603  our own words
            [sys.executable, *argv, "--no-access-log", "--log-level", "error"],
            env=environ,
            pass_fds=[listener.fileno()],
        ) as child:
            headers = {"cookie": f"{SESSION_COOKIE}={token}", "authorization": "Bearer anything"}
            try:
                with httpx.Client(base_url=address, headers=headers, timeout=60) as http:
                    yield Console(psutil.Process(child.pid), http)
            finally:
                child.terminate()


def figures() -> dict[str, Any]:
    """Milliseconds of each page for either fleet, and the larger console's memory while it is asked on and on."""
    with server() as address, ExitStack() as stack:
        consoles = []
        for size in (SMALL, LARGE):
            url, began = stack.enter_context(database(address)), time.perf_counter()
            seed(url, *size)
            say(f"seeded {size[0]:,} integrations and {size[1]:,} observations in {time.perf_counter() - began:.0f} s")
            consoles.append(stack.enter_context(console(url)))
        pages = [compared(name, path, *consoles) for name, path in ASKED.items()]
        return {"small": SMALL[0], "large": LARGE[0], "pages": pages, "memory": list(asked_on(consoles[1]))}


def compared(name: str, path: str, small: Console, large: Console) -> dict[str, Any]:
    """Ask both in turn."""
    for one in (small, large):
        one.ask(path)  # the first time loads what it needs
    times = [(small.ask(path), large.ask(path)) for _ in range(ROUNDS)]
    few, many = (quantiles([pair[n] for pair in times], n=10)[0] for n in (0, 1))
    size = len(large.http.get(path).content) / 1000
    return {
        "asked": name,
        "small_ms": round(few * 1000, 1),
        "large_ms": round(many * 1000, 1),
        "ratio": round(many / few, 2),
        "size_kb": round(size),
    }


def asked_on(console: Console) -> Iterator[dict[str, Any]]:
    """Send many requests, a few at once, and see how the server's memory goes."""
    paths = list(islice(cycle(ASKED.values()), REQUESTS))
    share = REQUESTS // LOOKS
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {"requests": 0, "resident_mib": round(console.memory_mib(), 1)}
        for number in range(LOOKS):
            began = time.perf_counter()
            for _ in pool.map(console.ask, paths[number * share : (number + 1) * share]):
                pass
            rate = share / (time.perf_counter() - began)
            memory = round(console.memory_mib(), 1)
            yield {"requests": (number + 1) * share, "resident_mib": memory, "requests_a_second": round(rate)}


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    head = ("asked of a running console", f"{found['small']:,}", f"{found['large']:,}", "ratio", "size")
    pages = [
        (p["asked"], f"{p['small_ms']} ms", f"{p['large_ms']} ms", p["ratio"], f"{p['size_kb']} kB")
        for p in found["pages"]
    ]
    looks = [
        (f"{m['requests']:,}", f"{m['resident_mib']} MiB", m.get("requests_a_second", "")) for m in found["memory"]
    ]
    memory = table(("requests", "resident memory", "requests a second"), looks)
    return "\n\n".join([table(head, pages), memory])


if __name__ == "__main__":
    say(shown(figures()))
