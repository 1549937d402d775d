"""Scripted people who play many onboardings at once, each with a Vault token of their own.

Alice and Grace sit beside the ledger, Bob at the console, and Tessa clicks in Gong's Admin center. When they are told
to try again, they do, a little later; and what is asked is what the ledger asks.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NoReturn
from uuid import UUID

import httpx

from keyturn.cli.away import Away
from keyturn.clients.console import ConsoleApi
from keyturn.clients.console_token import CommandTokens
from keyturn.console.api.desk import Desk
from keyturn.console.api.shapes.questions import Asked
from keyturn.domain.credential import Credential
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import GateClosedError, KeyturnError, RefusedError, TransientError
from keyturn.sandbox.people import GongAdmin, Pair
from keyturn.sandbox.stack import Running
from keyturn.services.intake import Told
from keyturn.wiring import Ports, personal_vault

_HANDS = 12
_LATER_S = 3.0
_LOOK_EVERY_S = 0.5


@dataclass(slots=True)
class Tries:
    """What had to be tried again, and why: act and error, with how often."""

    again: Counter[tuple[str, str]] = field(default_factory=Counter)
    last: dict[tuple[str, str], str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, act: str, error: Exception) -> None:
        """One more."""
        what = (act, type(error).__name__)
        with self._lock:
            self.again[what] += 1
            self.last[what] = str(error)[:300]


class Office:
    """Everybody at their desks."""

    def __init__(self, running: Running, ports: Ports, tries: Tries) -> None:
        self._ports, self._tries = ports, tries
        tokens = {name: {"VAULT_TOKEN": running.openbao.login(name)} for name in ("alice", "bob", "grace")}
        self.alice, self.grace = self._beside(tokens["alice"]), self._beside(tokens["grace"])
        assert running.console is not None
        self.bob = _at_console(running.console.url, tokens["bob"], ports)
        self.pairs: dict[IntegrationKey, Pair] = {}
        self._tessa = GongAdmin(running.twins.gong)
        self._gong_url = running.twins.gong
        self._one_form_at_a_time = threading.Lock()
        self._consented: set[IntegrationKey] = set()
        self._busy: dict[UUID, float] = {}

    def start(self, keys: list[IntegrationKey]) -> None:
        """Alice starts all onboardings at once, and each until it is under way."""
        with ThreadPoolExecutor(_HANDS) as hands:
            list(hands.map(lambda key: self._until_done("start", lambda: self.alice.onboard(str(key))), keys))

    def answer(self, over: Callable[[], bool]) -> None:
        """Answer whatever is asked, until `over` says so."""
        with ThreadPoolExecutor(_HANDS) as hands:
            while not over():
                for gate in self._asked():
                    self._busy[gate.id] = float("inf")
                    hands.submit(self._answer, gate)
                sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Close the browser."""
        self._tessa.close()

    def _asked(self) -> list[Asked]:
        try:
            asked = self.alice.gates()
        except KeyturnError as error:
            self._tries.note("look", error)
            return []
        return [gate for gate in asked if self._busy.get(gate.id, 0.0) < monotonic()]

    def _answer(self, gate: Asked) -> None:
        """One person's turn; whoever is told to try again looks into the inbox a little later."""
        key = IntegrationKey.parse(gate.key)
        acts = {GateKind.APPROVE: self._approve, GateKind.GONG_ADMIN: self._submit, GateKind.CONSENT: self._consent}
        try:
            acts[gate.kind](key, gate)
        except GateClosedError:
            pass  # their own earlier try got through after all
        except (KeyturnError, httpx.HTTPError) as error:
            self._tries.note(gate.kind.value, error)
        except Exception as error:  # noqa: BLE001  no person may leave without a word, and the report tells of it
            self._tries.note(f"{gate.kind.value} (unforeseen)", error)
        self._busy[gate.id] = monotonic() + _LATER_S

    def _approve(self, key: IntegrationKey, gate: Asked) -> None:
        self.bob.approve(key, gate.digest, "seen", gate.id)

    def _submit(self, key: IntegrationKey, _gate: Asked) -> None:
        if key not in self.pairs:
            kit = json.loads(self.grace.plan(str(key)).model_dump_json())["kit"]
            with self._one_form_at_a_time:
                self.pairs[key] = self._tessa.create_integration(kit["steps"])
        pair = self.pairs[key]
        self.grace.submit(key, Credential(pair.client_id, pair.client_secret), Told(None, None))

    def _consent(self, key: IntegrationKey, _gate: Asked) -> None:
        if key in self._consented:
            return
        link = self.grace.link(key).url
        browser = GongAdmin(self._gong_url)
        try:
            outcome = browser.consent(link)
        finally:
            browser.close()
        if outcome != "authenticated":
            raise RefusedError(str(key), f"Gong's page says {outcome}")
        self._consented.add(key)

    def _until_done(self, act: str, do: Callable[[], Any]) -> None:
        while True:
            try:
                do()
            except TransientError as error:
                self._tries.note(act, error)
                sleep(_LATER_S)
            else:
                return

    def _beside(self, token: Mapping[str, str]) -> Desk:
        vault = personal_vault(self._ports.settings, token, Path.home())
        return Desk(self._ports, vault.whoami, lambda: vault)


def _at_console(url: str, token: Mapping[str, str], ports: Ports) -> Away:
    def nowhere(*_: object) -> NoReturn:
        raise LookupError("everybody has a Vault token")

    return Away(ConsoleApi(url, CommandTokens(token, Path.home(), nowhere, nowhere), ports.clock))
