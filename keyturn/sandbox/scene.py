"""Who plays in a demo, and what every scene of it needs: to have somebody act, and to wait for their turn.

The people use the command line and the vendors' pages, as people do. Nothing here knows how keyturn does its work; it
only looks at the ledger to see when it is somebody's turn.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep

from keyturn.domain.attempt import Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import StageFailedError, UnavailableError
from keyturn.ports import RunState
from keyturn.sandbox.people import GongAdmin, StackOneAdmin
from keyturn.sandbox.stack import Running
from keyturn.services.journey import Journey, StepState, journey
from keyturn.wiring import Ports

KEY = IntegrationKey("acme", "production")
_PATIENCE_S = 300.0  # a busy machine starts a process in half a minute
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
class Scene:
    """Somebody's turn after somebody's turn. `told` are the stages of attempts that were told of as done."""

    cast: Cast
    ports: Ports
    say: Narrator
    key: IntegrationKey = KEY
    told: set[tuple[str, Stage]] = field(default_factory=set)

    def turn(self, name: str, command: str, *words: str, by: CommandLine, given: str = "") -> str:
        """Somebody runs a command about the integration; gives what it printed."""
        self.say(f"{name}: keyturn {' '.join((command, str(self.key), *words))}")
        return by.must(command, str(self.key), *words, given=given)

    def gate(self, kind: GateKind) -> Gate:
        """The open gate of that kind, as soon as it is there."""
        now = self.wait(lambda j: any(g.kind is kind for g in j.gates))
        return next(g for g in now.gates if g.kind is kind)

    def wait(self, until: Callable[[Journey], bool]) -> Journey:
        """Look at the journey until something is so, and tell of every stage that gets done on the way."""
        deadline = monotonic() + _PATIENCE_S
        while monotonic() < deadline:
            now = journey(self.ports.ledger, self.key)
            self.tell(now)
            if until(now):
                return now
            self.stop_if_over(now)
            sleep(_LOOK_EVERY_S)
        raise UnavailableError(str(self.key), f"nothing happened for {_PATIENCE_S:.0f} s", "Look at the logs.")

    def tell(self, now: Journey) -> None:
        """Tell of what was done since."""
        for step in now.steps:
            done = (str(now.attempt.id) if now.attempt else "", step.stage)
            if step.state is StepState.DONE and done not in self.told:
                self.told.add(done)
                self.say(f"✔ {step.stage}: {step.says}")

    def stop_if_over(self, now: Journey) -> None:
        """Do not wait for a run that Prefect has ended."""
        attempt = now.attempt
        if attempt is None or not attempt.moves or attempt.flow_run_id is None:
            return
        if self.ports.runs.state(attempt.flow_run_id) is RunState.ENDED:
            again = journey(self.ports.ledger, self.key).attempt
            if again is not None and again.moves and again.flow_run_id == attempt.flow_run_id:
                raise StageFailedError(
                    str(self.key), "its Prefect run is over and the attempt is not", "Look at the logs."
                )
