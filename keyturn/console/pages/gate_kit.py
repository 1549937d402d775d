"""The kit on a gate's page: its steps, each with a drawing of where to click, and whether it is ticked off."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.kit import KitStep, kit, stackone_edit, stackone_steps
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.turn_kit import turn_kit
from keyturn.settings import Settings


@dataclass(frozen=True, slots=True)
class Screen:
    """One step.

    Attributes:
        number: from 1.
        drawing: the template of its drawing, below `drawings/`.
        done: whether the person who looks has ticked it off.
    """

    number: int
    step: KitStep
    drawing: str
    done: bool = False


@dataclass(frozen=True, slots=True)
class Screens:
    """A kit as its page shows it.

    Attributes:
        warnings: to be read before the first step.
        hands_over: the last step is the page's own form.
    """

    steps: tuple[Screen, ...] = ()
    warnings: tuple[str, ...] = ()
    hands_over: bool = False

    @property
    def to_tick(self) -> tuple[Screen, ...]:
        """The steps that people tick off: a form that is sent needs no tick."""
        return self.steps[:-1] if self.hands_over else self.steps


def screens_of(gate: Gate, sealed: SealedManifest, settings: Settings, ticked: Collection[int] = ()) -> Screens:
    """The kit of a gate, empty where none belongs to it."""
    gong, stackone = str(settings.gong.admin_url), str(settings.stackone.dashboard_url)
    if gate.kind is GateKind.STACKONE_FORM:
        return Screens(_numbered(_stackone(gate, sealed, stackone), ticked))
    if gate.kind is GateKind.GONG_ROTATION:
        turn = turn_kit(sealed, gate.question, gong)
        return Screens(_numbered(turn.steps, ticked), turn.warnings, hands_over=True)
    if gate.kind is GateKind.GONG_ADMIN or (gate.kind is GateKind.APPROVE and not of_rotation(gate)):
        made = kit(sealed, gong)
        return Screens(_numbered(made.steps, ticked), made.warnings, hands_over=True)
    return Screens()


def of_rotation(gate: Gate) -> bool:
    """Whether an approval is one of a rotation, which has steps to read instead of a form to fill in."""
    return bool(gate.question.get("rotation") or gate.question.get("second"))


def _stackone(gate: Gate, sealed: SealedManifest, dashboard: str) -> tuple[KitStep, ...]:
    """StackOne's form: a new profile, or the one that is there."""
    if gate.question.get("baseline"):
        return stackone_edit(sealed, str(gate.question["profile_name"]), dashboard)
    return stackone_steps(sealed, dashboard)


def _numbered(steps: tuple[KitStep, ...], ticked: Collection[int]) -> tuple[Screen, ...]:
    return tuple(
        Screen(number, step, DRAWINGS[step.title], done=number in ticked) for number, step in enumerate(steps, 1)
    )


DRAWINGS: Mapping[str, str] = {
    "Sign in to Gong and open the form": "gong_open",
    "Say what it is": "gong_about",
    "Choose the scopes": "gong_scopes",
    "Give the integration details": "gong_details",
    "Save, and copy the pair": "gong_save",
    "Set the trusted IPs": "gong_ips",
    "Hand the pair over": "hand_over",
    "Open Gong's Admin center as Tech admin": "gong_find",
    "Rotate the secret": "gong_rotate",
    "Hand it over at once": "hand_over",
    "Open StackOne's dashboard": "stackone_open",
    "Fill in the Connector Profile": "stackone_new",
    "Edit the Connector Profile": "stackone_edit",
}
"""The drawing of each step, by its title."""
