"""What is asked for, as shapes: the same for a route and for a command on a machine that has the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyturn.console.api.shapes import kits, questions
from keyturn.console.api.within_reach import within_reach
from keyturn.console.pages.gate_kit import of_rotation, screens_of
from keyturn.domain import gate as domain
from keyturn.domain.attempt import Terms
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import CONNECTOR, SealedManifest
from keyturn.services.listed_once import ListedOnce
from keyturn.services.manifests import sealed_of
from keyturn.services.plan import Planning
from keyturn.services.rotation.asking import applied_manifest, what_would_happen
from keyturn.wiring import Ports

_STORES = ("ledger", "secrets", "hub", "writers")


def plan(ports: Ports, key_or_path: str, *, files: bool = False) -> kits.Plan:
    """The plan of an onboarding.

    Raises:
        ManifestError: there is no such manifest, or lint finds errors.
    """
    sealed = sealed_of(ports.settings.manifests, key_or_path, lambda: ports.hub.actions(CONNECTOR))
    ledger, secrets, hub, writers = (within_reach(ports, name) for name in _STORES)
    made = Planning(ledger, secrets, ListedOnce(hub), writers).plan(sealed)  # two of its facts need the same list
    return kits.Plan.of(made, str(ports.settings.gong.admin_url), files=files)


def rotation_plan(ports: Ports, key: IntegrationKey, terms: Terms) -> kits.RotationPlan:
    """The plan of a rotation.

    Raises:
        RefusedError: it was never onboarded.
    """
    sealed = applied_manifest(ports.ledger, key)
    steps = what_would_happen(sealed, terms, ports.clock.now())
    return kits.RotationPlan(key=str(key), digest=sealed.digest, steps=steps)


def gate(ports: Ports, gate: domain.Gate) -> questions.Gate:
    """A gate with its kit."""
    sealed = ports.ledger.manifest(gate.digest)
    more: dict[str, Any] = {
        "attempt": gate.attempt_id,
        "requester": gate.requester,
        "decided_at": gate.decided_at,
        "reason": gate.reason,
        "decisions": [questions.Said.of(d) for d in gate.decisions],
        "kit": _kit(ports, gate, sealed),
        "steps": _steps(ports, gate, sealed),
    }
    return questions.Gate.of(gate, **more)


def stackone_form(ports: Ports, gates: Sequence[domain.Gate]) -> list[kits.KitScreen]:
    """The form of the newest of these gates, for the pair that is revealed there."""
    asked = gates[-1] if gates else None  # it may be closed by now: somebody made the profile
    kit = _kit(ports, asked, ports.ledger.manifest(asked.digest)) if asked else None
    return kit.steps if kit else []


def _kit(ports: Ports, gate: domain.Gate, sealed: SealedManifest) -> kits.Kit | None:
    screens = screens_of(gate, sealed, ports.settings)
    if not screens.steps:
        return None
    steps = kits.screens(s.step for s in screens.steps)
    return kits.Kit(digest=gate.digest, warnings=list(screens.warnings), steps=steps)


def _steps(ports: Ports, gate: domain.Gate, sealed: SealedManifest) -> list[str]:
    if gate.kind is not domain.GateKind.APPROVE or not of_rotation(gate):
        return []
    return what_would_happen(sealed, Terms(second=bool(gate.question.get("second"))), ports.clock.now())
