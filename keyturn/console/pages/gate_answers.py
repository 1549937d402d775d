"""Answering a gate: yes or no, a single-use reveal, an auth link; and ticking off what was done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from keyturn.console.pages.gate_kit import screens_of
from keyturn.console.pages.gate_view import gate_of, open_gate, show
from keyturn.console.render import page
from keyturn.console.small_body import SmallBody
from keyturn.console.visitor import person_of, ports_of
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.domain.profile import Link
from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.ports import Reveal
from keyturn.services import decide
from keyturn.services.link import Linking
from keyturn.services.reveal import reveal as wrap

router = APIRouter(route_class=SmallBody)
_LONGEST_NOTE = 2000  # characters; a reason is a few sentences


async def form_of(request: Request) -> AsyncIterator[FormData]:
    """The form of a request, which the guard has read already; whatever file came with it is closed afterwards."""
    async with request.form() as form:
        yield form


Form = Annotated[FormData, Depends(form_of)]


def text_of(form: FormData, name: str) -> str:
    """A text of the form; empty where there is none, or a file."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def see(gate: Gate, said: str = "", part: str = "") -> Response:
    """Send the browser to a gate's page, where a reload repeats nothing."""
    query = f"?said={said}" if said else ""
    return RedirectResponse(f"/gates/{gate.id}{query}{part}", 303)


@router.post("/gates/{gate_id}/approve")
def approve(request: Request, gate_id: str, form: Form) -> Response:
    """Say yes to the digest that the page showed."""
    ports = ports_of(request)
    try:
        gate, note = open_gate(request, gate_id, GateKind.APPROVE), _note(form, "note")
        seen = text_of(form, "digest")
        decided = decide.approve(ports.ledger, ports.runs, person_of(request), gate.key, seen, note, gate_id=gate.id)
    except KeyturnError as error:
        return show(request, gate_id, error)
    if decided.gate.state is GateState.OPEN:
        return see(decided.gate, "counted")
    return see(decided.gate, "approved" if decided.resumed else "approved-later")


@router.post("/gates/{gate_id}/reject")
def reject(request: Request, gate_id: str, form: Form) -> Response:
    """Say no, and why."""
    ports = ports_of(request)
    try:
        gate, reason = open_gate(request, gate_id), _note(form, "reason")
        if not reason:
            raise ConfigurationError("the reason", "is missing", "Say why: whoever asked has to know what to change.")
        decided = decide.reject(ports.ledger, ports.runs, person_of(request), gate.key, reason, gate.id)
    except KeyturnError as error:
        return show(request, gate_id, error)
    return see(decided.gate, "rejected" if decided.resumed else "rejected-later")


@router.post("/gates/{gate_id}/reveal")
def reveal(request: Request, gate_id: str) -> Response:
    """Wrap the pair for one reading. This answer is the only one that ever has the token."""
    ports, person = ports_of(request), person_of(request)
    try:
        gate = open_gate(request, gate_id, GateKind.STACKONE_FORM)
        wrapped: Reveal = wrap(ports.ledger, ports.on_behalf(person), gate.key, gate.id)
    except KeyturnError as error:
        return show(request, gate_id, error)
    return page(request, "revealed.html", gate=gate, wrapped=wrapped, unwrap_url=_unwrap_url(request))


@router.post("/gates/{gate_id}/link")
def link(request: Request, gate_id: str) -> Response:
    """Make an auth link. It is a bearer token, so this answer is the only one that ever has it."""
    ports, person = ports_of(request), person_of(request)
    try:
        gate = open_gate(request, gate_id, GateKind.CONSENT, GateKind.PROOF)
        linking = Linking(ports.ledger, ports.hub, ports.clock)
        made: Link = linking.fresh_link(person, gate.key, ports.settings.stackone.link_expires_s, gate.id)
    except KeyturnError as error:
        return show(request, gate_id, error)
    manifest = ports.ledger.manifest(gate.digest).manifest
    owner = manifest.rotation.proof_owner if gate.kind is GateKind.PROOF else manifest.stackone.origin_owner
    return page(request, "auth_link.html", gate=gate, made=made, owner=owner)


@router.post("/gates/{gate_id}/ticks")
def tick(request: Request, gate_id: str, form: Form) -> Response:
    """Tick a step of the kit off, or take that back."""
    ports, gate = ports_of(request), gate_of(request, gate_id)
    steps = screens_of(gate, ports.ledger.manifest(gate.digest), ports.settings).to_tick
    number = next((s.number for s in steps if text_of(form, "step") == str(s.number)), None)
    if number is None:
        raise ConfigurationError("this step", "is none of the kit's", "Load the page again.")
    ports.visits.tick(gate.id, person_of(request).id, number, done=text_of(form, "done") == "yes")
    return see(gate, part=f"#step-{number}")


def _unwrap_url(request: Request) -> str:
    """Vault's own page for opening a wrapping token; OpenBao has it at the same place."""
    return f"{str(ports_of(request).settings.vault.addr).rstrip('/')}/ui/vault/tools/unwrap"


def _note(form: FormData, name: str) -> str:
    note = text_of(form, name).replace("\0", "").strip()  # which PostgreSQL cannot keep
    if len(note) > _LONGEST_NOTE:
        raise ConfigurationError(f"the {name}", f"is longer than {_LONGEST_NOTE} characters", "Say it more briefly.")
    return note
