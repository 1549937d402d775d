"""What an action is about to do, in words and for whom, before anybody presses its button."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keyturn.console.access import OPERATOR
from keyturn.console.pages.integration_view import short
from keyturn.console.pages.offers import Action, Now
from keyturn.console.pages.outside import seen
from keyturn.console.words import said
from keyturn.domain.attempt import Attempt, AttemptKind, Stage, Terms
from keyturn.domain.credential import Pointer
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import CONNECTOR, SealedManifest
from keyturn.domain.schedule import why_closed
from keyturn.errors import RefusedError
from keyturn.services import manifests
from keyturn.services.plan import Fact, Planning
from keyturn.services.rotation.asking import applied_manifest, what_would_happen
from keyturn.services.rotation.terms import clicked
from keyturn.wiring import Ports

_PLAN_S = 10.0
COMPROMISED_WARNING = (
    "The secret in use will stop working at the click in Gong, or an hour later. THIS WILL BREAK the connection until "
    "the new one is applied, and there is no way back."
)


@dataclass(frozen=True, slots=True)
class Tick:
    """A box to tick: the form's field, its words, and whether the form is sent only with it."""

    name: str
    label: str
    hint: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is shown before an action.

    Attributes:
        steps: what happens, in order.
        facts: what was looked up for it.
        fixed: fields that go with the form unseen.
        warning: what must not be missed; empty when there is nothing.
        elsewhere: another way of asking: its words, and its query.
    """

    action: Action
    title: str
    button: str
    steps: Sequence[str]
    facts: Sequence[Fact] = ()
    differences: Sequence[str] = ()
    fixed: Mapping[str, str] | None = None
    ticks: Sequence[Tick] = ()
    reason: bool = False
    warning: str = ""
    notice: str = ""
    elsewhere: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks about which integration, and in which form."""

    ports: Ports
    key: IntegrationKey
    now: Now
    person: Person
    compromised: bool = False


def question(asked: Asked, action: Action) -> Question:
    """What this action would do now.

    Raises:
        RefusedError: it cannot be done at all.
    """
    return _QUESTIONS[action](asked)


def sealed_of(ports: Ports, key: IntegrationKey) -> SealedManifest:
    """The integration's manifest from the folder, sealed.

    Raises:
        ManifestError: there is none, or it has errors.
    """
    return manifests.sealed_of(ports.settings.manifests, str(key), lambda: ports.hub.actions(CONNECTOR))


def _onboard(asked: Asked) -> Question:
    ports, sealed = asked.ports, sealed_of(asked.ports, asked.key)
    planned = seen(lambda: Planning(ports.ledger, ports.secrets, ports.hub, ports.writers).plan(sealed), _PLAN_S)
    plan, active = planned.found, asked.now.active
    again = Tick("restart", "Start another run even if Prefect says that one is under way", "If its worker has died.")
    return Question(
        Action.ONBOARD,
        f"Go on with the onboarding of {asked.key}" if active else f"Onboard {asked.key}",
        "Go on" if active else "Onboard",
        plan.steps if plan else (),
        plan.facts if plan else (Fact("plan", known=False, says=planned.unknown),),
        plan.differences if plan else (),
        {"digest": sealed.digest},
        (again,) if active else (),
        notice=f"Everybody will be asked about digest {sealed.digest[:12]}.",
    )


def _check(asked: Asked) -> Question:
    steps = (
        "ask Gong whether it takes the secret in use, and the one that was retired last",
        "read the StackOne profile and the status of its accounts",
        "compare the secret's age, the manifests and the trusted addresses",
        "keep what was seen; what is wrong is raised once it was seen twice in a row",
    )
    notice = "Nothing is changed. It takes some seconds, and counts towards the vendors' limits."
    return Question(Action.CHECK, f"Check {asked.key} now", "Check now", steps, notice=notice)


def _rotate(asked: Asked) -> Question:
    sealed = applied_manifest(asked.ports.ledger, asked.key)
    terms = Terms(compromised=asked.compromised and OPERATOR in asked.person.groups)
    steps = what_would_happen(sealed, terms, asked.now.at)
    title = f"Rotate the secret of {asked.key}"
    if terms.compromised:
        understood = Tick("understood", "I know that this will break the connection for a while", required=True)
        fixed = {"compromised": "on"}
        elsewhere = ("The secret is not compromised", "")
        return Question(
            Action.ROTATE,
            f"{title}, which somebody knows",
            "Rotate the compromised secret",
            steps,
            fixed=fixed,
            ticks=(understood,),
            warning=COMPROMISED_WARNING,
            elsewhere=elsewhere,
        )
    closed = why_closed(sealed.manifest.rotation, asked.now.at)
    ignoring = Tick("ignore_window", "Begin although the window is closed", "That is written to the audit trail.")
    return Question(
        Action.ROTATE,
        title,
        "Rotate",
        steps,
        ticks=(ignoring,) if closed else (),
        notice=f"The rotation window is closed: {closed}." if closed else "",
        elsewhere=("Somebody knows the secret", "compromised=on") if OPERATOR in asked.person.groups else None,
    )


def _rollback(asked: Asked) -> Question:
    pointer = seen(lambda: asked.ports.secrets.pointer(asked.key))
    older = _named(pointer.found)
    steps = (
        f"put the older secret{older} back into the StackOne profile, by the API or by a person's hands",
        "read the profile back",
        "keep the new secret as PENDING: Gong shows a secret once",
        "halt the rotation as rolled back, until somebody resumes or abandons it",
    )
    notice = "The older secret works only until its grace ends; find out before that why the new one did not."
    return Question(Action.ROLLBACK, f"Roll {asked.key} back", "Roll back", steps, reason=True, notice=notice)


def _resume(asked: Asked) -> Question:
    halted = _active(asked)
    steps = (
        "let the rotation go on from its receipts, with a new run",
        "ask again what was asked when it was halted, or rejected",
    )
    notice = f"It is halted ({said(halted.halt)}): {halted.reason}"
    return Question(Action.RESUME, f"Resume the rotation of {asked.key}", "Resume", steps, reason=True, notice=notice)


def _abandon(asked: Asked) -> Question:
    active = _active(asked)
    steps = (
        f"end the {active.kind}, and make void what it asks for",
        "leave what was stored in Vault and StackOne as it is",
    )
    dies = active.kind is AttemptKind.ROTATION and clicked(asked.ports.ledger, active)
    warning = "The secret was rotated in Gong: the one in use dies when its grace ends, whoever gives up now."
    done = Stage.VERIFY in asked.now.receipts
    return Question(
        Action.ABANDON,
        f"Abandon the {active.kind} of {asked.key}",
        "Abandon",
        steps,
        reason=True,
        warning=warning if dies and not done else "",
    )


def _lost(asked: Asked) -> Question:
    steps = (
        "note that the new secret was lost before it was handed in",
        "have a second rotation in Gong approved, by itself",
        "ask Gong's admin to rotate once more, which kills the secret in use at once",
    )
    warning = "There is no way back from a second rotation, and the connection breaks until its secret is applied."
    title = f"Say that the new secret of {asked.key} is lost"
    return Question(Action.LOST, title, "It is lost", steps, reason=True, warning=warning)


def _active(asked: Asked) -> Attempt:
    if asked.now.active is None:
        raise RefusedError(str(asked.key), "nothing is under way", "Look at its page for what can be done.")
    return asked.now.active


def _named(pointer: Pointer | None) -> str:
    older = pointer and (pointer.previous or pointer.current)
    return f" (version {older.version}, {short(older)})" if older else ""


_QUESTIONS: Mapping[Action, Callable[[Asked], Question]] = {
    Action.ONBOARD: _onboard,
    Action.CHECK: _check,
    Action.ROTATE: _rotate,
    Action.ROLLBACK: _rollback,
    Action.RESUME: _resume,
    Action.ABANDON: _abandon,
    Action.LOST: _lost,
}
