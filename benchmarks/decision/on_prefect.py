"""keyturn on its warm worker, or on Prefect's own. People are at a running console: each act is one POST there."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
from collections.abc import Generator
from contextlib import closing
from functools import cached_property
from typing import Any

import httpx
import psycopg

from benchmarks.decision.journeys import Gate, until
from benchmarks.sandboxes import Place
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.sandbox.people import Pair
from keyturn.sandbox.prefect import STOCK, WARM, create_pool, start_worker
from keyturn.sandbox.processes import Child

_HAND_INS_EACH = 10  # of a person; the console takes 20 from one within ten minutes
_NAMES = {WARM: "keyturn, warm worker", STOCK: "keyturn, Prefect's process worker (poll 1 s)"}
_OPEN = """SELECT extract(epoch FROM opened_at)::float, id, digest FROM gates
WHERE key = %s AND kind = %s AND state = 'open'"""
# The next stage has begun when it asks its own question, which is the first thing that it does ...
_ASKED_NEXT = "SELECT extract(epoch FROM min(opened_at))::float FROM gates WHERE key = %s AND kind = 'gong_admin'"
# ... or where the stage before it ended, as `keyturn.ledger.stage_times` has it.
_ENDED = """SELECT extract(epoch FROM min(at))::float FROM receipts JOIN attempts ON attempts.id = attempt_id
WHERE key = %s AND stage = 'gong_admin'"""
_OVER = "SELECT 1.0 FROM attempts WHERE key = %s AND ended_at IS NOT NULL"
_STATE = "SELECT state FROM attempts WHERE key = %s ORDER BY started_at DESC LIMIT 1"


class OnPrefect:
    """Implements `System`. The sandbox's own worker is stopped first.

    Args:
        kind: type of the worker, `WARM` or `STOCK`.
        pair: what is handed in, journey after journey.
    """

    def __init__(self, place: Place, kind: str, pair: Pair) -> None:
        self.name = _NAMES[kind]
        self._place, self._kind, self._pair = place, kind, pair
        self._seen: dict[tuple[str, Gate], dict[str, str]] = {}
        self._admins = self._gong_admins()
        self._worker: Child | None = None
        create_pool(place.running.prefect, kind)

    @property
    def worker(self) -> Child:
        """The worker that runs now."""
        if self._worker is None:
            raise RuntimeError("no worker runs")
        return self._worker

    def begin(self, key: str) -> None:
        """Alice presses *Onboard*."""
        tenant = key.partition("/")[0]
        self._place.integration(tenant)
        self._post(self._people["alice"], key, "onboard", {})
        (self._place.manifests / f"{tenant}.yaml").unlink()  # the console reads all that there are, each time

    def opened(self, key: str, gate: Gate) -> float | None:
        """From the ledger; the gate that is seen is the one that is answered."""
        found = self._ledger.execute(_OPEN, (key, GateKind(gate.value))).fetchone()
        if found is None:
            return None
        self._seen[key, gate] = {"gate": str(found[1]), "digest": found[2]}
        return float(found[0])

    def decide(self, key: str, gate: Gate) -> None:
        """Bob approves what was seen, or a Gong admin hands the pair in."""
        seen = self._seen.pop((key, gate))
        if gate is Gate.APPROVE:
            self._post(self._people["bob"], key, "approve", seen)
            return
        pair = {"client_id": self._pair.client_id, "client_secret": self._pair.client_secret}
        self._post(next(self._admins), key, "submit", pair | {"gate": seen["gate"]})

    def next_started(self, key: str, gate: Gate) -> float | None:
        """From the ledger."""
        return self._one(_ASKED_NEXT if gate is Gate.APPROVE else _ENDED, key)

    def finish(self, key: str) -> None:
        """Grace makes a link, and Gong's admin consents."""
        self._place.wait_for(IntegrationKey.parse(key), GateKind.CONSENT)
        link = self._post(self._people["grace"], key, "link", {})["url"]
        self._place.gong.consent(link)
        until(lambda: self._one(_OVER, key), f"{key} ends")
        if (state := self._one(_STATE, key)) != "completed":
            raise RuntimeError(f"{key} was to complete, and is {state}")

    def kill(self) -> None:
        """`kill -9` of the worker; nothing that it started outlives it."""
        os.kill(self.worker.process.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Stop it as a redeploy does."""
        self._place.running.children.stop(self.worker)
        self._worker = None

    def close(self) -> None:
        """Let go of the console and the ledger."""
        self._admins.close()
        for http in self.__dict__.get("_people", {}).values():
            http.close()
        if "_ledger" in self.__dict__:
            self._ledger.close()

    def start(self) -> None:
        """Start a worker, and wait until it asks for work."""
        running = self._place.running
        self._worker = start_worker(running.children, running.prefect, running.environment, self._kind)

    def complete(self) -> float | None:
        """Something once the worker has imported all that it will import before a run."""
        told = self.worker.log.read_text(errors="replace")
        return 1.0 if self._kind == STOCK or "Fork server complete" in told else None

    def _post(self, http: httpx.Client, key: str, verb: str, body: dict[str, Any]) -> Any:  # noqa: ANN401  JSON
        answer = http.post(f"/api/v1/integrations/{key}/{verb}", json=body)
        if answer.is_error:
            raise RuntimeError(f"{key}: {verb} was answered with {answer.status_code}")
        return answer.json()

    def _gong_admins(self) -> Generator[httpx.Client]:
        """One person after the other: nobody hands in too often."""
        while True:
            client = self._at_console(_token_of_new_admin(self._place))
            with closing(client):
                yield from itertools.repeat(client, _HAND_INS_EACH)

    @cached_property
    def _people(self) -> dict[str, httpx.Client]:
        return {n: self._at_console(self._place.running.openbao.login(n)) for n in ("alice", "bob", "grace")}

    def _at_console(self, token: str) -> httpx.Client:
        console = self._place.running.console
        if console is None:
            raise RuntimeError("the sandbox has no console")
        headers = {"Authorization": f"Bearer {token}"}
        http = httpx.Client(base_url=console.url, headers=headers, trust_env=False, timeout=60)
        http.get("/api/v1/me").raise_for_status()  # whose token it is, the console knows by now, as of a visitor
        return http

    @cached_property
    def _ledger(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self._place.running.postgres.ledger_url, autocommit=True)

    def _one(self, query: str, key: str) -> Any:  # noqa: ANN401  a column
        row = self._ledger.execute(query, (key,)).fetchone()
        return row[0] if row else None


def _token_of_new_admin(place: Place) -> str:
    """Give Vault one more Gong admin, and sign them in."""
    name = f"admin-{secrets.token_hex(4)}"
    with place.running.openbao.api() as vault:
        policies = ["keyturn-person", "keyturn-gong_admin"]
        vault.write(f"auth/userpass/users/{name}", {"password": name, "token_policies": policies})
        answer = vault.write(f"auth/userpass/login/{name}", {"password": name})
    return str(answer["auth"]["client_token"])
