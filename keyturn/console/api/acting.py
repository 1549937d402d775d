"""What people do to an integration. Everything here is decided by the services, as for commands and pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Request
from starlette.responses import Response

from keyturn.console import limits
from keyturn.console.api import answering, bodies
from keyturn.console.api.answering import INTEGRATION, Responses, acts, desk_of
from keyturn.console.api.queries import Key
from keyturn.console.api.shapes import attempts, looks, questions
from keyturn.console.visitor import person_of, ports_of
from keyturn.domain.attempt import Terms
from keyturn.domain.credential import Credential
from keyturn.services.intake import Told

router = answering.router()
_ASKED: Responses = {204: {"description": "This person is asked for a pair; nothing else was to be said."}}


@router.post(f"{INTEGRATION}/onboard", responses=acts())
def onboard(request: Request, key: Key, wanted: bodies.Onboard | None = None) -> attempts.Onboarding:
    """Onboard by the console's manifest, or go on with the active attempt.

    Idempotent: an integration has one active attempt, and whoever asks again is given that one. If the answer is lost,
    or is 503 because Prefect is away, the attempt is there all the same: ask again.
    """
    how = wanted or bodies.Onboard()
    return desk_of(request).onboard(str(key), restart=how.restart, unless_done=how.unless_done)


@router.post(f"{INTEGRATION}/check", responses=acts())
def check(request: Request, key: Key) -> looks.Checked:
    """Look for drift now, as the watch does, and keep it."""
    limits.count_check(ports_of(request), key)
    return desk_of(request).check([key])[0]


@router.post(f"{INTEGRATION}/verify", responses=acts())
def verify(request: Request, key: Key) -> looks.Verdict:
    """Test the connection now, layer by layer. Read-only."""
    limits.count_check(ports_of(request), key)
    return desk_of(request).verify(key)


@router.post(f"{INTEGRATION}/rotate", responses=acts())
def rotate(request: Request, key: Key, wanted: bodies.Rotate | None = None) -> attempts.Rotation:
    """Begin a rotation, or go on with the one under way.

    Idempotent: an integration has one active attempt, and whoever asks again on the same terms is given that one.
    """
    on = wanted or bodies.Rotate()
    return desk_of(request).rotate(key, Terms(compromised=on.compromised, ignore_window=on.ignore_window))


@router.post(f"{INTEGRATION}/rollback", responses=acts())
def rollback(request: Request, key: Key, said: bodies.Because) -> attempts.Attempt:
    """Have the older secret put back into the profile, while it works. The new one is kept."""
    return desk_of(request).roll_back(key, said.reason)


@router.post(f"{INTEGRATION}/resume", responses=acts())
def resume(request: Request, key: Key, said: bodies.Because) -> attempts.Attempt:
    """Let a rotation go on that was rolled back or orphaned."""
    return desk_of(request).resume(key, said.reason)


@router.post(f"{INTEGRATION}/abandon", responses=acts())
def abandon(request: Request, key: Key, said: bodies.Abandon) -> attempts.Attempt:
    """End the active attempt. What was stored in Vault and StackOne stays as it is."""
    return desk_of(request).abandon(key, said.reason, only_rotation=said.only_rotation)


@router.post(f"{INTEGRATION}/lost", responses=acts())
def lost(request: Request, key: Key, said: bodies.Because) -> attempts.Attempt:
    """Say that the new secret was lost before it was handed in. A second click in Gong has to be approved then."""
    return desk_of(request).lost(key, said.reason)


@router.post(f"{INTEGRATION}/approve", responses=acts())
def approve(request: Request, key: Key, said: bodies.Approve) -> questions.Decided:
    """Say yes to what was seen, by its digest."""
    return desk_of(request).approve(key, said.digest, said.note, said.gate)


@router.post(f"{INTEGRATION}/reject", responses=acts())
def reject(request: Request, key: Key, said: bodies.Reject) -> questions.Decided:
    """Say no at the gate that was seen, or else at the newest one that asks this person; its attempt ends."""
    return desk_of(request).reject(key, said.reason, said.gate)


@router.post(f"{INTEGRATION}/submit", responses=acts() | _ASKED, response_model=questions.Taken)
def submit(request: Request, key: Key, given: Annotated[bodies.Submit, Body()]) -> questions.Taken | Response:
    """Hand a pair in. It goes into Vault and nowhere else; what lint and Gong say of it is told at once."""
    desk = desk_of(request)
    if isinstance(given, bodies.OnlyAsk):
        desk.require_asked(key)
        return Response(status_code=204)
    limits.count_hand_in(ports_of(request), person_of(request))
    told = Told(given.clicked_at, given.grace_hours)
    if isinstance(given, bodies.Wrapped):
        return desk.submit_wrapped(key, given.wrapping_token.get_secret_value(), told, given.gate)
    return desk.submit(key, Credential(given.client_id, given.client_secret.get_secret_value()), told, given.gate)


@router.post(f"{INTEGRATION}/reveal", responses=acts())
def reveal(request: Request, key: Key, seen: bodies.Seen | None = None) -> questions.Revealed:
    """Wrap the stored pair in a single-use token, for StackOne's form. It is audited."""
    return desk_of(request).reveal(key, seen.gate if seen else None)


@router.post(f"{INTEGRATION}/link", responses=acts())
def link(request: Request, key: Key, seen: bodies.Seen | None = None) -> questions.AuthLink:
    """Make a fresh auth link for the admin of the Gong account who consents."""
    return desk_of(request).link(key, seen.gate if seen else None)
