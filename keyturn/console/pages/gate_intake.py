"""Where a person hands over a client secret. It goes from the form's body into Vault, and is never shown again.

After a refusal, nothing that was typed is written into the page: a secret may stand in any of the fields.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from keyturn.console import limits
from keyturn.console.pages.gate_answers import Form, see, text_of
from keyturn.console.pages.gate_view import open_gate, show
from keyturn.console.small_body import SmallBody
from keyturn.console.visitor import person_of, ports_of
from keyturn.domain.credential import Credential
from keyturn.domain.gate import GateKind
from keyturn.errors import ConfigurationError, CredentialRefusedError, KeyturnError
from keyturn.services.intake import ASKS_FOR_PAIR, Intake, Submitted, Told

router = APIRouter(route_class=SmallBody)
_WRAPPED = "token"
_FARTHEST_ZONE = timedelta(hours=14)
_HOURS = re.compile(r"[0-9]{1,3}")


@router.post("/gates/{gate_id}/submit")
def submit(request: Request, gate_id: str, form: Form) -> Response:
    """Take a pair, or a wrapping token; a refusal is told on the same page at once."""
    try:
        limits.count_hand_in(ports_of(request), person_of(request))
        submitted = _submitted(request, gate_id, form)
    except KeyturnError as error:
        return show(request, gate_id, _with_token_in_mind(error, form), _WRAPPED if _is_wrapped(form) else "pair")
    return see(submitted.gate, "taken" if submitted.resumed else "taken-later")


def _submitted(request: Request, gate_id: str, form: FormData) -> Submitted:
    ports = ports_of(request)
    gate = open_gate(request, gate_id, *ASKS_FOR_PAIR)
    told = _told(form) if gate.kind is GateKind.GONG_ROTATION else Told()
    vault = ports.on_behalf(person_of(request))
    intake = Intake(ports.ledger, vault, ports.gong, ports.runs, ports.clock)
    if _is_wrapped(form):
        return intake.submit_wrapped(gate.key, text_of(form, "token").strip(), told, gate.id)
    return intake.submit(gate.key, _pair(form), told, gate.id)


def _pair(form: FormData) -> Credential:
    return Credential(text_of(form, "client_id"), text_of(form, "client_secret"))


def _is_wrapped(form: FormData) -> bool:
    return text_of(form, "what") == _WRAPPED


def _told(form: FormData) -> Told:
    """What the person says of their click.

    Raises:
        ConfigurationError: it is no moment, or no number of hours.
    """
    return Told(_clicked_at(form), _grace_hours(form))


def _clicked_at(form: FormData) -> datetime | None:
    """The moment as the person's own clock showed it; UTC where no script has said how far that clock is from it."""
    given = text_of(form, "clicked_at").strip()
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(
            "the moment of the click", "is no date and time", "Give it as in 2026-11-26 09:30."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=_zone(form))


def _zone(form: FormData) -> timezone:
    try:
        offset = timedelta(minutes=int(text_of(form, "utc_offset")))
    except (ValueError, OverflowError):
        return UTC
    return timezone(offset) if abs(offset) <= _FARTHEST_ZONE else UTC


def _grace_hours(form: FormData) -> int | None:
    given = text_of(form, "grace_hours").strip()
    if not given:
        return None
    if not _HOURS.fullmatch(given):
        raise ConfigurationError("the grace", "is no number of hours", "Give it as Gong shows it: 0 to 168.")
    return int(given)


def _with_token_in_mind(error: KeyturnError, form: FormData) -> KeyturnError:
    """A pair that came out of a wrapping token has used that up, whatever was wrong with it."""
    came_out = _is_wrapped(form) and isinstance(error, CredentialRefusedError) and error.subject != "wrapping token"
    if not came_out:
        return error
    return CredentialRefusedError(
        error.subject, error.problem, f"{error.remedy} The wrapping token is used up: wrap the right pair in a new one."
    )
