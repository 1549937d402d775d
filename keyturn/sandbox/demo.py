"""The demo's first scene: all people played by a script, everything else real, from a manifest to a verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.gate import GateKind
from keyturn.domain.verdict import Layer, LayerStatus
from keyturn.errors import StageFailedError
from keyturn.sandbox.scene import Scene
from keyturn.sandbox.vault_api import VaultApi
from keyturn.services.journey import Journey, StepState


@dataclass(slots=True)
class Demo(Scene):
    """One onboarding, played through."""

    def play(self) -> dict[str, Any]:
        """Play it to its end and report.

        Returns:
            `{"ok", "key", "stages": [{"name", "status", "seconds"}], "verdict": {"L0": …}, "evidence", "seconds"}`.

        Raises:
            StageFailedError: somebody's command failed.
            UnavailableError: nothing happened for too long.
        """
        began = monotonic()
        self.turn("alice", "onboard", by=self.cast.alice)
        self._approve()
        self._fill_in_gong()
        self._fill_in_stackone_if_asked()
        self._consent()
        last = self.wait(lambda now: now.attempt is not None and now.attempt.ended_at is not None)
        return self._report(last, monotonic() - began)

    def _approve(self) -> None:
        digest = self.gate(GateKind.APPROVE).digest[:12]
        self.say(f"bob has read the kit and approves digest {digest}")
        self.turn("bob", "approve", "--digest", digest, by=self.cast.bob)

    def _fill_in_gong(self) -> None:
        self.gate(GateKind.GONG_ADMIN)
        steps = json.loads(self.cast.grace.must("plan", str(self.key), "--json"))["kit"]["steps"]
        self.say("grace opens Gong's Admin center and fills in the form from the kit")
        pair = self.cast.gong.create_integration(steps)
        self.turn("grace", "submit", "--stdin", by=self.cast.grace, given=f"{pair.client_id}\n{pair.client_secret}\n")

    def _fill_in_stackone_if_asked(self) -> None:
        now = self.wait(lambda j: _step(j, Stage.CREATE_PROFILE) in (StepState.WAITING, StepState.DONE))
        if _step(now, Stage.CREATE_PROFILE) is StepState.DONE:
            return
        gate = self.gate(GateKind.STACKONE_FORM)
        self.say("StackOne offers no write API, so grace fills in its form with a single-use reveal")
        token = self.turn("grace", "reveal", by=self.cast.grace).strip()
        with VaultApi(str(self.ports.settings.vault.addr).rstrip("/"), token) as vault:
            pair = vault.write("sys/wrapping/unwrap")["data"]["data"]
        scopes = self.ports.ledger.manifest(gate.digest).scopes
        self.cast.stackone.create_profile(
            str(gate.question["profile_name"]), pair["client_id"], pair["client_secret"], scopes
        )

    def _consent(self) -> None:
        self.gate(GateKind.CONSENT)
        link = self.turn("grace", "link", by=self.cast.grace).strip()
        self.say(f"grace opens the link and consents at Gong: {self.cast.gong.consent(link)}")

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
