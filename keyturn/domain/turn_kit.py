"""The kit of a rotation: exactly what to click in Gong, and which grace to choose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from keyturn.domain.kit import Kit, KitField, KitStep
from keyturn.domain.manifest import SealedManifest

_NO_WAY_BACK = (
    "The click is the point of no return: when the grace ends, the old secret stops working, whatever happens then."
)
_ONCE = "Gong shows the new secret once. Keep the window open until it is handed in."
_AT_ONCE = "THE SECRET IN USE DIES AT THE CLICK: what refreshes before the new one is applied fails."
_CLICKED = (
    "The secret was rotated in Gong already: DO NOT ROTATE AGAIN, that kills the secret in use at once. Only the new "
    "secret is asked for. If nobody has it any more, run `keyturn rotate lost`."
)
_LOST = "If it is lost, do not rotate again by yourself: run `keyturn rotate lost`, and have that approved first."


def turn_kit(sealed: SealedManifest, question: Mapping[str, object], admin_url: str) -> Kit:
    """What Gong's admin does.

    Args:
        sealed: the manifest that was applied.
        question: of the gate: `grace_hours`, and whether the secret is `compromised`, this is a `second` click, or the
            click has been, and only its secret is lacking (`clicked_since`).
        admin_url: where Gong's Admin center is.
    """
    hours = str(question["grace_hours"])
    at_once = bool(question.get("second")) or hours == "0"
    clicked = "clicked_since" in question
    warnings = (_CLICKED,) if clicked else (_NO_WAY_BACK, _ONCE, _LOST) + ((_AT_ONCE,) if at_once else ())
    integration = KitField("Integration", (sealed.manifest.gong.name,), "By its name; its Client ID stays.")
    grace = KitField("Old secret grace period", (hours,), _hours(int(hours)))
    click = (KitStep("Rotate the secret", ("More actions", "Edit", "Credentials", "Rotate secret"),
                     (grace, KitField("I confirm rotation", ("yes",))), "Copy the new secret at once."),)  # fmt: skip
    steps = (
        KitStep("Open Gong's Admin center as Tech admin", ("Settings", "Ecosystem", "API", "Integrations"),
                (KitField("Address", (admin_url,)), integration)),
        *(() if clicked else click),
        KitStep("Hand it over at once", (), (KitField("Command", (f"keyturn submit {sealed.key}",)),),
                "It asks for the Client ID and for the new secret, which it never shows."),
    )  # fmt: skip
    return Kit(sealed.key, sealed.digest, warnings, steps)


def _hours(hours: int) -> str:
    days = timedelta(hours=hours) / timedelta(days=1)
    return "in hours, and not Gong's default of 24" + (f": {days:.0f} days" if days >= 2 else "")  # noqa: PLR2004
