"""What people want of an integration: asked for in words, and then done by the services, which decide."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from keyturn.console import limits
from keyturn.console.pages import asking
from keyturn.console.pages.known import known_key
from keyturn.console.pages.offers import ONE, Action, may, now_of, offers
from keyturn.console.pages.outside import Seen, seen
from keyturn.console.problems import NotFoundError
from keyturn.console.render import page
from keyturn.console.small_body import SmallBody
from keyturn.console.visitor import person_of, ports_of
from keyturn.domain.attempt import Terms
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import (
    ConfigurationError,
    DigestChangedError,
    NotPermittedError,
    RefusedError,
    UnavailableError,
)
from keyturn.services import start
from keyturn.services.check import Checked, Checking
from keyturn.services.manifest_folder import Folder
from keyturn.services.rotation.asking import Rotating
from keyturn.services.standing import standing_in_ledger
from keyturn.wiring import Ports

SAID: dict[str, tuple[str, str]] = {
    "onboarding": ("good", "The onboarding has begun. Its first question goes to whoever approves."),
    "changed": ("warn", "It has a new manifest now; its approval is asked for again."),
    "goes-on": ("good", "The onboarding goes on with a new run, from its receipts."),
    "under-way": ("", "It is under way already; nothing was changed."),
    "checked-ok": ("good", "Checked: everything that was looked at is as it should be."),
    "checked-bad": ("bad", "Checked: something is not as it should be. It is raised once it was seen twice in a row."),
    "checked-unknown": ("warn", "Checked: not everything could be looked at. What is unknown is named below."),
    "checking": ("warn", "The check takes long, and goes on; what it sees will be here."),
    "rotating": ("good", "The rotation has begun with a look at everything that is needed."),
    "rolling-back": ("warn", "The older secret will be put back into the profile."),
    "resumed": ("good", "The rotation goes on from its receipts."),
    "abandoned": ("", "The attempt has ended. What is stored in Vault and StackOne is as it was."),
    "lost": ("warn", "A second rotation has to be approved now, because it kills the secret in use at once."),
}
"""What can be said after an action: how it is coloured, and the sentence. Nothing else is ever shown for `?said=`."""

_CHECK_S = 25.0
_LONGEST_REASON = 1000

Text = Annotated[str, Form()]

router = APIRouter(route_class=SmallBody)


@router.get(f"{ONE}/ask/{{action}}")
def ask(request: Request, tenant: str, environment: str, action: str, compromised: str = "") -> Response:
    """Say what an action is about to do, and offer the button for it."""
    ports, person = ports_of(request), person_of(request)
    key, wanted = known_key(ports, tenant, environment), _action(action)
    if not may(wanted, person):
        raise NotPermittedError(
            person.name, f"may not do this ({wanted})", "Ask whoever gives out groups, then sign in again."
        )
    attempts = ports.ledger.attempts(key)
    stands = standing_in_ledger(ports.ledger, key)
    now = now_of(ports.ledger, attempts[0] if attempts else None, stands, ports.clock.now())
    if wanted not in {offer.action for offer in offers(now, person)}:
        raise RefusedError(str(key), f"there is nothing to {wanted} now", "Look at its page for what can be done.")
    asked = asking.Asked(ports, key, now, person, compromised=bool(compromised))
    return page(request, "ask.html", key=key, question=asking.question(asked, wanted))


@router.post(f"{ONE}/onboard")
def onboard(request: Request, tenant: str, environment: str, digest: Text = "", restart: Text = "") -> Response:
    """Start an onboarding of the manifest that was shown, or go on with the active one."""
    ports = ports_of(request)
    key = known_key(ports, tenant, environment)
    sealed = asking.sealed_of(ports, key)
    if digest != sealed.digest:
        raise DigestChangedError(
            str(key), f"its manifest has changed since you looked; it is {sealed.digest[:12]} now", "Look again."
        )
    started = start.start(ports.ledger, ports.runs, sealed, person_of(request), restart=bool(restart))
    if started.opened.created:
        return _back(key, "onboarding")
    if started.opened.changed:
        return _back(key, "changed")
    return _back(key, "goes-on" if started.run_started else "under-way")


@router.post(f"{ONE}/check")
def check(request: Request, tenant: str, environment: str) -> Response:
    """Look at everything now, as the watch does, and keep what is seen."""
    ports = ports_of(request)
    key = known_key(ports, tenant, environment)
    limits.count_check(ports, key)
    return _back(key, _of_check(seen(lambda: _checked(ports, key), _CHECK_S)))


@router.post(f"{ONE}/rotate")
def rotate(
    request: Request,
    tenant: str,
    environment: str,
    compromised: Text = "",
    understood: Text = "",
    ignore_window: Text = "",
) -> Response:
    """Begin a rotation."""
    ports = ports_of(request)
    key = known_key(ports, tenant, environment)
    if compromised and not understood:
        raise ConfigurationError(str(key), "you have not ticked that this will break", "Go back, and tick it.")
    terms = Terms(compromised=bool(compromised), ignore_window=bool(ignore_window))
    started = _rotating(ports).start(key, person_of(request), terms)
    return _back(key, "rotating" if started.opened.created else "under-way")


@router.post(f"{ONE}/rollback")
def rollback(request: Request, tenant: str, environment: str, reason: Text = "") -> Response:
    """Have the older secret put back."""
    ports = ports_of(request)
    key = known_key(ports, tenant, environment)
    _rotating(ports).roll_back(key, person_of(request), _said(reason))
    return _back(key, "rolling-back")


@router.post(f"{ONE}/resume")
def resume(request: Request, tenant: str, environment: str, reason: Text = "") -> Response:
    """Let a halted rotation go on."""
    ports = ports_of(request)
    key = known_key(ports, tenant, environment)
    _rotating(ports).resume(key, person_of(request), _said(reason))
    return _back(key, "resumed")


@router.post(f"{ONE}/abandon")
def abandon(request: Request, tenant: str, environment: str, reason: Text = "") -> Response:
    """End the active attempt."""
    ports = ports_of(request)
    key = known_key(ports, tenant, environment)
    start.abandon(ports.ledger, ports.runs, person_of(request), key, _said(reason))
    return _back(key, "abandoned")


@router.post(f"{ONE}/lost")
def lost(request: Request, tenant: str, environment: str, reason: Text = "") -> Response:
    """Say that the new secret was lost before it was handed in."""
    ports = ports_of(request)
    key = known_key(ports, tenant, environment)
    _rotating(ports).lost(key, person_of(request), _said(reason))
    return _back(key, "lost")


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        raise NotFoundError(text, "is nothing that can be done here", "Look at the integration's page.") from None


def _rotating(ports: Ports) -> Rotating:
    return Rotating(ports.ledger, ports.runs, ports.clock)


def _checked(ports: Ports, key: IntegrationKey) -> Checked:
    filed = Folder(ports.settings.manifests)
    checking = Checking(ports.ledger, ports.secrets, ports.gong, ports.hub, ports.observatory, ports.clock, filed)
    return checking.check(key)


def _of_check(done: Seen[Checked]) -> str:
    checked = done.found
    if checked is None:
        if done.too_late:
            return "checking"
        raise UnavailableError("the check", done.unknown, "Try again in a while.")
    if not checked.onboarded:
        raise RefusedError(str(checked.key), "was never onboarded to its end", "There is nothing to look at yet.")
    if checked.is_bad:
        return "checked-bad"
    return "checked-unknown" if checked.is_unknown else "checked-ok"


def _said(reason: str) -> str:
    """Why, on one line.

    Raises:
        ConfigurationError: nothing was said, or too much.
    """
    words = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    if not words:
        raise ConfigurationError("reason", "is empty", "Go back, and say why; it is kept.")
    if len(words) > _LONGEST_REASON:
        raise ConfigurationError("reason", f"is longer than {_LONGEST_REASON} characters", "Say it in fewer words.")
    return words


def _back(key: IntegrationKey, said: str) -> Response:
    return RedirectResponse(f"/integrations/{key}?said={said}", 303)
