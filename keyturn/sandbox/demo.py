"""The demo: all people played by a script, everything else real, from a manifest to a verdict.

The people use the command line and the vendors' pages, as people do. Nothing here knows how keyturn does its work; it
only looks at the ledger to see when it is somebody's turn.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, sleep
from typing import Any

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.verdict import Layer, LayerStatus
from keyturn.errors import StageFailedError, UnavailableError
from keyturn.ports import RunState
from keyturn.sandbox.people import GongAdmin, StackOneAdmin
from keyturn.sandbox.stack import Running
from keyturn.sandbox.vault_api import VaultApi
from keyturn.services.journey import Journey, StepState, journey
from keyturn.wiring import Ports

KEY = IntegrationKey("acme", "production")
_PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.2

Narrator = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The command `keyturn` in one person's hands.

    Attributes:
        environment: its settings; the person's own Vault token is among them.
    """

    environment: Mapping[str, str] = field(repr=False)

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Secrets go in by standard input, never as words."""
        return subprocess.run(  # noqa: S603  our own program, our own words
            [sys.executable, "-m", "keyturn", *words],
            env=dict(self.environment),
            input=given,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )

    def must(self, *words: str, given: str = "") -> str:
        """Run a command that has to succeed, and give what it printed.

        Raises:
            StageFailedError: it did not; its last words are the problem.
        """
        done = self.run(*words, given=given)
        if done.returncode != 0:
            problem = f"exit {done.returncode}: {done.stderr.strip()[-500:]}"
            raise StageFailedError(f"keyturn {words[0]}", problem, "Look at the logs of the sandbox.")
        return done.stdout


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: three people on the command line, two of them also on the vendors' pages."""

    alice: CommandLine
    bob: CommandLine
    grace: CommandLine
    gong: GongAdmin
    stackone: StackOneAdmin

    @classmethod
    def of(cls, running: Running, environment: Mapping[str, str]) -> Cast:
        """The people of a sandbox, each signed in to its Vault."""
        alice, bob, grace = (
            CommandLine({**environment, "VAULT_TOKEN": running.openbao.login(name)})
            for name in ("alice", "bob", "grace")
        )
        return cls(alice, bob, grace, GongAdmin(running.twins.gong), StackOneAdmin(running.twins.stackone))

    def close(self) -> None:
        """Close the browsers."""
        self.gong.close()
        self.stackone.close()


@dataclass(slots=True)
class Demo:
    """One onboarding, played through. `told` are the stages that were told of as done."""

    cast: Cast
    ports: Ports
    say: Narrator
    key: IntegrationKey = KEY
    told: set[Stage] = field(default_factory=set)

    def play(self) -> dict[str, Any]:
        """Play it to its end and report.

        Returns:
            `{"ok", "key", "stages": [{"name", "status", "seconds"}], "verdict": {"L0": …}, "evidence", "seconds"}`.

        Raises:
            StageFailedError: somebody's command failed.
            UnavailableError: nothing happened for too long.
        """
        began = monotonic()
        self._turn("alice", "onboard", by=self.cast.alice)
        self._approve()
        self._fill_in_gong()
        self._fill_in_stackone_if_asked()
        self._consent()
        last = self._wait(lambda now: now.attempt is not None and now.attempt.ended_at is not None)
        return self._report(last, monotonic() - began)

    def _approve(self) -> None:
        digest = self._gate(GateKind.APPROVE).digest[:12]
        self.say(f"bob has read the kit and approves digest {digest}")
        self._turn("bob", "approve", "--digest", digest, by=self.cast.bob)

    def _fill_in_gong(self) -> None:
        self._gate(GateKind.GONG_ADMIN)
        steps = json.loads(self.cast.grace.must("plan", str(self.key), "--json"))["kit"]["steps"]
        self.say("grace opens Gong's Admin center and fills in the form from the kit")
        pair = self.cast.gong.create_integration(steps)
        self._turn("grace", "submit", "--stdin", by=self.cast.grace, given=f"{pair.client_id}\n{pair.client_secret}\n")

    def _fill_in_stackone_if_asked(self) -> None:
        now = self._wait(lambda j: _step(j, Stage.CREATE_PROFILE) in (StepState.WAITING, StepState.DONE))
        if _step(now, Stage.CREATE_PROFILE) is StepState.DONE:
            return
        gate = self._gate(GateKind.STACKONE_FORM)
        self.say("StackOne offers no write API, so grace fills in its form with a single-use reveal")
        token = self._turn("grace", "reveal", by=self.cast.grace).strip()
        with VaultApi(str(self.ports.settings.vault.addr).rstrip("/"), token) as vault:
            pair = vault.write("sys/wrapping/unwrap")["data"]["data"]
        scopes = self.ports.ledger.manifest(gate.digest).scopes
        self.cast.stackone.create_profile(
            str(gate.question["profile_name"]), pair["client_id"], pair["client_secret"], scopes
        )

    def _consent(self) -> None:
        self._gate(GateKind.CONSENT)
        link = self._turn("grace", "link", by=self.cast.grace).strip()
        self.say(f"grace opens the link and consents at Gong: {self.cast.gong.consent(link)}")

    def _turn(self, name: str, command: str, *words: str, by: CommandLine, given: str = "") -> str:
        self.say(f"{name}: keyturn {' '.join((command, str(self.key), *words))}")
        return by.must(command, str(self.key), *words, given=given)

    def _gate(self, kind: GateKind) -> Gate:
        """The open gate of that kind, as soon as it is there."""
        now = self._wait(lambda j: any(g.kind is kind for g in j.gates))
        return next(g for g in now.gates if g.kind is kind)

    def _wait(self, until: Callable[[Journey], bool]) -> Journey:
        """Look at the journey until something is so, and tell of every stage that gets done on the way."""
        deadline = monotonic() + _PATIENCE_S
        while monotonic() < deadline:
            now = journey(self.ports.ledger, self.key)
            self._tell(now)
            if until(now):
                return now
            self._stop_if_over(now)
            sleep(_LOOK_EVERY_S)
        raise UnavailableError(str(self.key), f"nothing happened for {_PATIENCE_S:.0f} s", "Look at the logs.")

    def _tell(self, now: Journey) -> None:
        for step in now.steps:
            if step.state is StepState.DONE and step.stage not in self.told:
                self.told.add(step.stage)
                self.say(f"✔ {step.stage}: {step.says}")

    def _stop_if_over(self, now: Journey) -> None:
        """Do not wait for a run that Prefect has ended."""
        attempt = now.attempt
        if attempt is None or attempt.ended_at is not None or attempt.flow_run_id is None:
            return
        if self.ports.runs.state(attempt.flow_run_id) is RunState.ENDED:
            again = journey(self.ports.ledger, self.key).attempt
            if again is not None and again.ended_at is None:
                raise StageFailedError(
                    str(self.key), "its Prefect run is over and the attempt is not", "Look at the logs."
                )

    def _report(self, last: Journey, seconds: float) -> dict[str, Any]:
        attempt = last.attempt
        if attempt is None:
            raise StageFailedError(str(self.key), "there is no attempt", "Look at the logs.")
        receipts = {r.stage: r for r in self.ports.ledger.receipts(attempt.id)}
        layers = dict(receipts[Stage.TEST_CONNECTION].body) if Stage.TEST_CONNECTION in receipts else {}
        verdict = {name: layer["status"] for name, layer in layers.items() if isinstance(layer, dict)}
        all_done = all(s.state is StepState.DONE for s in last.steps)
        proven = set(verdict) == set(Layer) and set(verdict.values()) == {LayerStatus.PASSED}
        return {
            "ok": attempt.state is AttemptState.COMPLETED and all_done and proven,
            "key": str(self.key),
            "attempt": str(attempt.id),
            "stages": list(_timed(last, attempt.started_at)),
            "verdict": verdict,
            "evidence": {name: layer["evidence"] for name, layer in layers.items() if isinstance(layer, dict)},
            "seconds": round(seconds, 1),
        }


def _step(now: Journey, stage: Stage) -> StepState:
    return next(s.state for s in now.steps if s.stage is stage)


def _timed(last: Journey, began: datetime) -> Iterator[dict[str, Any]]:
    """The stages with the seconds since the one before, the waiting for people included."""
    for step in last.steps:
        ended = step.at or began
        yield {
            "name": step.stage.value,
            "status": step.state.value,
            "seconds": round((ended - began).total_seconds(), 2),
        }
        began = ended
