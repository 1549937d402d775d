"""The demo's second scene: a secret is turned; a turn that goes wrong is rolled back; the watch finds a hand edit.

Time is the sandbox's own, so a grace of a week passes in a moment, here and at both vendors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import httpx

from keyturn.domain.attempt import AttemptState, Halt
from keyturn.domain.gate import GateKind
from keyturn.domain.health import Cause
from keyturn.domain.rotation import RotationState
from keyturn.errors import StageFailedError
from keyturn.sandbox.scene import Scene
from keyturn.sandbox.stack import Running
from keyturn.services.journey import Journey

_DAY_AND_A_BIT = timedelta(hours=26)
_WEEK = timedelta(days=7)
_A_ROUND = timedelta(minutes=20)


@dataclass(slots=True, kw_only=True)
class Turns(Scene):
    """What comes after an onboarding.

    Attributes:
        integration: its id in Gong's Admin center.
    """

    running: Running = field(repr=False)
    integration: str = ""

    def play(self) -> dict[str, Any]:
        """Play all three scenes.

        Returns:
            `{"rotation": {"ok", "states", "seconds"}, "rollback": …, "drift": {"ok", "cause", "seconds"}}`.

        Raises:
            StageFailedError: somebody's command failed.
            UnavailableError: nothing happened for too long.
        """
        self.integration = self.cast.gong.newest_integration()
        scenes = {"rotation": self._rotation, "rollback": self._rollback, "drift": self._drift}
        return {name: _timed(scene) for name, scene in scenes.items()}

    def _rotation(self) -> dict[str, Any]:
        self.say("— the secret is due —")
        self._to_proof()
        self._pass(_DAY_AND_A_BIT, "a day and a bit: StackOne refreshes its token with the new secret")
        self.gate(GateKind.GRACE)
        self._pass(_WEEK, "the old secret's grace is over")
        last = self.wait(lambda j: j.attempt is not None and j.attempt.ended_at is not None)
        done = last.attempt is not None and last.attempt.state is AttemptState.COMPLETED
        return {"ok": done and last.rotation is RotationState.DONE, "stages": _stages(last)}

    def _rollback(self) -> dict[str, Any]:
        self.say("— a rotation that goes wrong: StackOne keeps something else than the new secret —")
        self._stackone(write_effect="garbled")
        self._to_proof()
        self._stackone(write_effect="kept")
        self._pass(_DAY_AND_A_BIT, "a day and a bit: StackOne's refresh fails")
        self.wait(lambda j: any(g.question.get("failures") for g in j.gates))
        self._pass(timedelta(minutes=6), "one failure may be a hiccup: a second look")
        last = self.wait(lambda j: j.attempt is not None and j.attempt.halt is not Halt.NONE)
        rolled_back = last.rotation is RotationState.ROLLED_BACK
        self.say(f"✔ {last.rotation}: {last.attempt.reason if last.attempt else ''}")
        self._turn_rotate("alice", "resume", "--reason", "StackOne has corrected it")
        self.gate(GateKind.PROOF)
        link = self.turn("grace", "link", by=self.cast.grace).strip()
        self.say(f"grace does not wait for a refresh, and makes a new link: {self.cast.gong.consent(link)}")
        self._pass(timedelta(minutes=1), "the watch looks")
        self.gate(GateKind.GRACE)
        return {"ok": rolled_back}

    def _drift(self) -> dict[str, Any]:
        self.say("— somebody edits the profile in StackOne's dashboard —")
        profile = self.ports.hub.profiles("gong")[0]
        self.cast.stackone.edit_profile(profile.id, name=f"{profile.name} (mine)")
        for _ in range(2):  # once is a hiccup, twice is a drift
            since = self.ports.clock.now() + _A_ROUND
            self._pass(_A_ROUND, "the watch makes its round")
            self._checked(since)
        raised = self.ports.observatory.health(self.key).raised
        for condition in raised:
            self.say(f"✘ {condition.cause}: {condition.evidence} → {condition.remedy}")
        return {"ok": any(c.cause is Cause.PROFILE_RENAMED for c in raised), "causes": [c.cause.value for c in raised]}

    def _to_proof(self) -> None:
        """Up to the new secret in the profile, and not proven yet."""
        self._turn_rotate("alice")
        digest = self.gate(GateKind.APPROVE).digest[:12]
        self.turn("bob", "approve", "--digest", digest, by=self.cast.bob)
        hours = int(str(self.gate(GateKind.GONG_ROTATION).question["grace_hours"]))
        self.say(f"grace presses Rotate secret in Gong's Admin center, with a grace of {hours} hours")
        pair = self.cast.gong.rotate_secret(self.integration, hours)
        given = f"{pair.client_id}\n{pair.client_secret}\n"
        self.turn("grace", "submit", "--stdin", by=self.cast.grace, given=given)
        self.gate(GateKind.PROOF)

    def _turn_rotate(self, name: str, *words: str) -> None:
        command = [*words[:1], str(self.key), *words[1:]]
        self.say(f"{name}: keyturn rotate {' '.join(command)}")
        self.cast.alice.must("rotate", *command)

    def _pass(self, duration: timedelta, why: str) -> None:
        self.say(f"⏩ {why}")
        self.running.advance(duration)

    def _stackone(self, **options: str) -> None:
        url = f"{self.running.twins.stackone}/_twin/options"
        httpx.post(url, json=options, trust_env=False).raise_for_status()

    def _checked(self, since: datetime) -> None:
        """Wait for the watch to have looked at everything since then, be it in a round that was under way already."""

        def looked(_: Journey) -> bool:
            seen = self.ports.observatory.health(self.key).observations
            return bool(seen) and all(observation.at >= since for observation in seen)

        self.wait(looked)


def _timed(scene: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    began = monotonic()
    return scene() | {"seconds": round(monotonic() - began, 1)}


def _stages(last: Journey) -> list[str]:
    if last.attempt is None:
        raise StageFailedError(str(last.key), "there is no attempt", "Look at the logs.")
    return [f"{s.stage}: {s.state}" for s in last.steps]
