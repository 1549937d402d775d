"""What the live StackOne offers for writing profiles, read from its OpenAPI document and never guessed.

Writing counts as offered only if one version (v1 or v2) has `POST` to create and `PATCH` or `PUT` to update a profile,
and the bodies of both have a place for client id and client secret and need nothing that keyturn cannot fill.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from keyturn.clients.answer import Answer, Call
from keyturn.clients.stackone.body import Form, form_of
from keyturn.clients.stackone.schema import leaves_of, listed, mapping, pointed
from keyturn.clients.transport import Transport
from keyturn.errors import TransientError
from keyturn.settings import StackOneSettings

PUBLIC_DOCUMENT: Final = "https://api.eu1.stackone.com/oas/stackone.json"

_Node = Mapping[str, Any]
_CREATE: Final = re.compile(r"(/v[12])?/connector_profiles/?")
_UPDATE: Final = re.compile(r"(/v[12])?/connector_profiles/\{[^{}/]+\}/?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way of writing a profile."""

    method: str
    path: str
    form: Form

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What was found. `create` and `update` are both there or both missing.

    Attributes:
        why: a clause for people, naming the document.
    """

    why: str
    create: Endpoint | None = None
    update: Endpoint | None = None


class Specification:
    """Reads the live document: the configured one, else StackOne's at the base URL, else its public one.

    The public one speaks for StackOne's own hosts only, so no other host is judged by it. The document is asked for
    without the API key; it names paths below the base URL and can send a secret nowhere else.
    """

    def __init__(self, settings: StackOneSettings, transport: Transport) -> None:
        self._places, self._transport = places(settings), transport

    def offer(self) -> Offer:
        """What the first readable document says.

        Raises:
            TransientError: it cannot be read now. What cannot be read is not taken for a no.
        """
        missing = []
        for place in self._places:
            call = Call("GET", place)
            answer = self._transport.ask(call)
            failure = self._transport.failure(call, answer)
            if isinstance(failure, TransientError):
                raise failure
            document = _document(answer)
            if document is not None:
                return offer_of(document, place)
            missing.append(f"{place} ({answer.status})")
        return Offer(f"no OpenAPI document is offered at {' or '.join(missing)}")


def places(settings: StackOneSettings) -> list[str]:
    """Where to look for the document, in order."""
    if settings.spec_url is not None:
        return [str(settings.spec_url)]
    own = str(settings.base_url).rstrip("/") + "/oas/stackone.json"
    host = urlsplit(own).hostname or ""
    theirs = host == "stackone.com" or host.endswith(".stackone.com")
    return list(dict.fromkeys([own, PUBLIC_DOCUMENT] if theirs else [own]))


def offer_of(document: _Node, place: str) -> Offer:
    """What a document offers; of two versions that do, the newer one."""
    creates, updates = _endpoints(document, _CREATE, ("post",)), _endpoints(document, _UPDATE, ("patch", "put"))
    problems = []
    for version in sorted(creates.keys() & updates.keys(), reverse=True):
        create, update = creates[version], updates[version]
        faults = [f"{endpoint} {fault}" for endpoint in (create, update) for fault in endpoint.form.faults]
        if not faults:
            return Offer(f"the document at {place} offers {create} and {update}", create, update)
        problems += faults
    reason = "; ".join(problems) or "offers no way to create and update a Connector Profile"
    return Offer(f"the document at {place} cannot be used for writing: {reason}" if problems else f"{place} {reason}")


def _document(answer: Answer) -> _Node | None:
    payload = answer.json() if answer.status == HTTPStatus.OK else None
    return payload if isinstance(payload, dict) and isinstance(payload.get("paths"), dict) else None


def _endpoints(document: _Node, pattern: re.Pattern[str], methods: tuple[str, ...]) -> dict[str, Endpoint]:
    """The first of the methods at a matching path, by version (`/v2`, `/v1`, or an empty text)."""
    found: dict[str, Endpoint] = {}
    for path, item in document["paths"].items():
        match = pattern.fullmatch(path)
        method = next((m for m in methods if isinstance(item, dict) and isinstance(item.get(m), dict)), None)
        if match and method:
            leaves = leaves_of(document, _body_schema(document, item[method]))
            form = form_of(leaves, _demanded_parameters(document, item, item[method]))
            found[match[1] or ""] = Endpoint(method.upper(), path, form)
    return found


def _body_schema(document: _Node, operation: _Node) -> object:
    content = mapping(mapping(pointed(document, operation.get("requestBody"))).get("content"))
    return mapping(content.get("application/json")).get("schema")


def _demanded_parameters(document: _Node, item: _Node, operation: _Node) -> list[str]:
    """Required parameters other than the profile's id in the path; keyturn has nothing to say for them."""
    nodes = [*listed(item.get("parameters")), *listed(operation.get("parameters"))]
    found = [parameter for node in nodes if (parameter := mapping(pointed(document, node))).get("required") is True]
    return [str(parameter.get("name")) for parameter in found if parameter.get("in") != "path"]
