"""Ways to the gates: what people do until an attempt waits at one, with their own commands and on the vendors' pages.

The ways are gone one after the other: each turns switches of the twins for itself, and reads its own integration off
the last line of Gong's table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from keyturn.domain.attempt import Attempt, AttemptState
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.sandbox.assets import asset
from keyturn.sandbox.people import Pair
from keyturn.sandbox.prefect import run_now
from keyturn.sandbox.scene import Cast
from keyturn.sandbox.stack import Running
from keyturn.services.journey import journey
from keyturn.wiring import Ports

PATIENCE_S = 120.0
BY_FORM = "approve-form"  # `approve` once more, where Prefect's own form decides


@dataclass
class Ways:
    """A sandbox in which attempts are brought to their gates."""

    running: Running
    ports: Ports
    manifests: Path
    cast: Cast

    def named(self) -> dict[str, Callable[[str], GateKind]]:
        """Every way, by the gate's kind, with a word more where one kind of gate has several ways."""
        return {
            "approve": self.to_approve,
            BY_FORM: self.to_form,
            "gong_admin": self.to_gong_admin,
            "consent": self.to_consent,
            "stackone_form": self.to_stackone_form,
            "approve-rotation": self.to_approve_rotation,
            "gong_rotation": self.to_gong_rotation,
            "approve-second": self.to_approve_second,
            "stackone_form-rotation": self.to_stackone_form_rotation,
            "proof": self.to_proof,
            "grace": self.to_grace,
        }

    def attempts(self, names: list[str]) -> dict[str, str]:
        """Bring an attempt to each of these gates; gives their keys by the gates' names."""
        ways = {name: self.named()[name] for name in names}
        kept = {name: self.integration(f"at-{name.replace('_', '-')}", form=name == BY_FORM) for name in ways}
        waits = {key: ways[name](key) for name, key in kept.items()}
        for key, kind in waits.items():
            self.suspended(key, kind)
        return kept

    # --- of an onboarding

    def to_approve(self, key: str) -> GateKind:
        """As far as the approval."""
        self.cast.alice.must("onboard", key)
        return self.arrived(key, GateKind.APPROVE)

    to_form = to_approve

    def to_gong_admin(self, key: str) -> GateKind:
        """As far as the hand-over of the pair."""
        self.to_approve(key)
        self.approve(key)
        return self.arrived(key, GateKind.GONG_ADMIN)

    def to_consent(self, key: str) -> GateKind:
        """As far as the consent, with a profile that was made by API."""
        self.submit_first(key)
        return self.arrived(key, GateKind.CONSENT)

    def to_stackone_form(self, key: str) -> GateKind:
        """As far as StackOne's form, while there is no write API."""
        self.write_api("off")
        self.submit_first(key)
        self.arrived(key, GateKind.STACKONE_FORM)
        self.write_api("v1")
        return GateKind.STACKONE_FORM

    # --- of a rotation

    def to_approve_rotation(self, key: str) -> GateKind:
        """As far as the approval of a rotation of what was onboarded to its end."""
        self.to_consent(key)
        self.link(key)
        self.until(lambda: (made := self.attempt(key)) and made.state is AttemptState.COMPLETED)
        self.cast.alice.must("rotate", key)
        return self.arrived(key, GateKind.APPROVE)

    def to_gong_rotation(self, key: str) -> GateKind:
        """As far as the click."""
        self.to_approve_rotation(key)
        self.approve(key)
        return self.arrived(key, GateKind.GONG_ROTATION)

    def to_approve_second(self, key: str) -> GateKind:
        """As far as the approval of a second click: the secret that the first one made was lost."""
        self.to_gong_rotation(key)
        self.click(key)
        self.cast.grace.must("rotate", "lost", key, "--reason", "the page was closed before it was copied")
        return self.arrived(key, GateKind.APPROVE)

    def to_stackone_form_rotation(self, key: str) -> GateKind:
        """As far as StackOne's form of a new secret: there was a write API once, and there is none now."""
        self.to_gong_rotation(key)
        self.write_api("off")
        self.submit(key, self.click(key))
        self.arrived(key, GateKind.STACKONE_FORM)
        self.write_api("v1")
        return GateKind.STACKONE_FORM

    def to_proof(self, key: str) -> GateKind:
        """As far as the proof of a new secret that was put in by API."""
        self.to_gong_rotation(key)
        self.submit(key, self.click(key))
        return self.arrived(key, GateKind.PROOF)

    def to_grace(self, key: str) -> GateKind:
        """As far as the end of the grace, with a new link as the proof."""
        self.to_proof(key)
        self.link(key)
        return self.arrived(key, GateKind.GRACE)

    # --- what people do on the way

    def approve(self, key: str) -> None:
        """Bob approves what he saw."""
        self.cast.bob.must("approve", key, "--digest", self.gate(key, GateKind.APPROVE).digest)

    def submit_first(self, key: str) -> None:
        """Fill in Gong's form and hand in the pair."""
        self.to_gong_admin(key)
        steps = json.loads(self.cast.grace.must("plan", key, "--json"))["kit"]["steps"]
        self.submit(key, self.cast.gong.create_integration(steps))

    def submit(self, key: str, pair: Pair) -> None:
        """Hand in a pair."""
        self.cast.grace.must("submit", key, "--stdin", given=f"{pair.client_id}\n{pair.client_secret}\n")

    def click(self, key: str) -> Pair:
        """Press *Rotate secret* in Gong, with the grace that was asked for."""
        hours = int(str(self.gate(key, GateKind.GONG_ROTATION).question["grace_hours"]))
        return self.cast.gong.rotate_secret(self.cast.gong.newest_integration(), hours)

    def link(self, key: str) -> None:
        """Consent by a link, and have the watch look: nobody tells Prefect of that."""
        self.cast.gong.consent(self.cast.grace.must("link", key).strip())
        with httpx.Client(trust_env=False) as client:
            run_now(client, self.running.prefect.api_url, "watch/watch")

    def write_api(self, value: str) -> None:
        """Turn the switch of StackOne's twin."""
        options = {"write_api": value}
        httpx.post(f"{self.running.twins.stackone}/_twin/options", json=options, trust_env=False).raise_for_status()

    def integration(self, tenant: str, *, form: bool) -> str:
        """A manifest like the example's."""
        yaml = YAML()
        body = yaml.load(asset("integrations") / "acme-production.yaml")
        body["tenant"] = tenant
        body["stackone"] |= {"origin_owner": {"id": tenant, "name": tenant}, "profile_name": f"Gong {tenant}"}
        if form:
            body["approval"]["channel"] = "prefect"
        yaml.dump(body, self.manifests / f"{tenant}.yaml")
        return f"{tenant}/production"

    # --- what one sees of it

    def arrived(self, key: str, kind: GateKind) -> GateKind:
        """Wait for the gate of that kind, and give the kind."""
        self.gate(key, kind)
        return kind

    def gate(self, key: str, kind: GateKind) -> Gate:
        """The open gate of that kind, once it is there."""
        parsed = IntegrationKey.parse(key)
        found: Gate = self.until(
            lambda: next((g for g in journey(self.ports.ledger, parsed).gates if g.kind is kind), None)
        )
        return found

    def attempt(self, key: str) -> Attempt | None:
        """The newest attempt."""
        return journey(self.ports.ledger, IntegrationKey.parse(key)).attempt

    def suspended(self, key: str, kind: GateKind) -> None:
        """Wait until Prefect has suspended the run that waits at this gate, and its worker has let go of it."""
        self.gate(key, kind)
        attempt = self.attempt(key)
        url = f"{self.running.prefect.api_url}/flow_runs/{attempt.flow_run_id if attempt else None}"
        self.until(lambda: httpx.get(url, trust_env=False).json()["state_name"] == "Suspended")

    def until(self, holds: Callable[[], Any]) -> Any:
        """Poll until something is so, and give it."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"see {self.running.logs}")
            time.sleep(0.2)  # between two looks: what is waited for may be in any store, and none of them tells
        return found
