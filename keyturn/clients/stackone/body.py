"""The body that writes a profile: which field of a schema takes which of our values, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from keyturn.clients.stackone.schema import Leaf, Path, plain


class Slot(Enum):
    """What keyturn has to put into a field."""

    CLIENT_ID = auto()
    CLIENT_SECRET = auto()
    NAME = auto()
    CONNECTOR = auto()
    SCOPES = auto()
    ACTIONS = auto()
    AUTHENTICATION_KEY = auto()
    AUTHENTICATION_TYPE = auto()
    AUTHENTICATION_LABEL = auto()


AUTHENTICATION: Final = frozenset({Slot.AUTHENTICATION_KEY, Slot.AUTHENTICATION_TYPE, Slot.AUTHENTICATION_LABEL})

_OAUTH2: Final = frozenset({"oauth2", "oauth20"})
_PAIR: Final = {"clientid": Slot.CLIENT_ID, "clientsecret": Slot.CLIENT_SECRET}
_OUTERMOST: Final = {
    "name": Slot.NAME,
    "connectorkey": Slot.CONNECTOR,
    "connector": Slot.CONNECTOR,
    "provider": Slot.CONNECTOR,
    "actions": Slot.ACTIONS,
    "enabledactions": Slot.ACTIONS,
}
_ANYWHERE: Final = {
    "scopes": Slot.SCOPES,
    "scope": Slot.SCOPES,
    "authenticationconfigkey": Slot.AUTHENTICATION_KEY,
    "authenticationkey": Slot.AUTHENTICATION_KEY,
    "authenticationtype": Slot.AUTHENTICATION_TYPE,
    "authenticationconfigtype": Slot.AUTHENTICATION_TYPE,
    "authtype": Slot.AUTHENTICATION_TYPE,
    "authenticationconfiglabel": Slot.AUTHENTICATION_LABEL,
}


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one endpoint that keyturn fills.

    Attributes:
        faults: clauses; empty when the endpoint can be used.
    """

    fields: tuple[tuple[Leaf, Slot], ...]
    faults: tuple[str, ...]

    def asks_for(self, slots: Iterable[Slot]) -> bool:
        """Whether one of the slots has a field whose value the document does not fix."""
        wanted = set(slots)
        return any(slot in wanted and not leaf.choices for leaf, slot in self.fields)

    def lacking(self, values: Mapping[Slot, str | Sequence[str]]) -> list[str]:
        """Needed fields for which there is no value."""
        filled = [leaf.path for leaf, slot in self.fields if _value(leaf, slot, values)]
        return [_dotted(leaf.path) for leaf, _ in self.fields if leaf.path not in filled and leaf.needed(filled)]

    def body(self, values: Mapping[Slot, str | Sequence[str]]) -> dict[str, Any]:
        """The body. Optional fields without a value are left out."""
        body: dict[str, Any] = {}
        for leaf, slot in self.fields:
            if value := _value(leaf, slot, values):
                _put(body, leaf.path, value)
        return body


def form_of(leaves: Sequence[Leaf], parameters: Sequence[str]) -> Form:
    """Match the fields of a body with what keyturn has.

    Args:
        leaves: all fields.
        parameters: required parameters outside the body, which keyturn cannot fill.
    """
    pairs = list(_pairs(leaves))
    rest = ((leaf, slot) for leaf in leaves if (slot := _slot(leaf)))
    fields = (*(pairs[0] if pairs else ()), *rest)
    filled = [leaf.path for leaf, _ in fields]
    strange = [_dotted(leaf.path) for leaf in leaves if leaf.path not in filled and leaf.needed(filled)]
    return Form(fields, tuple(_faults(len(pairs), [*parameters, *strange])))


def _faults(pairs: int, strange: Sequence[str]) -> Iterator[str]:
    if not pairs:
        yield "has no fields for client id and client secret"
    if pairs > 1:
        yield "has fields for client id and client secret in more than one place"
    if strange:
        yield f"demands what keyturn does not have ({', '.join(strange)})"


def _pairs(leaves: Sequence[Leaf]) -> Iterator[list[tuple[Leaf, Slot]]]:
    """Client id and client secret side by side, at the top or in an object such as `credentials`."""
    for parent in dict.fromkeys(leaf.path[:-1] for leaf in leaves):
        pair = [(leaf, _PAIR[leaf.word]) for leaf in leaves if leaf.path[:-1] == parent and leaf.word in _PAIR]
        if {slot for _, slot in pair} == set(_PAIR.values()):
            yield pair


def _slot(leaf: Leaf) -> Slot | None:
    """A plain `type` can mean anything, so it counts as the authentication's only where OAuth 2.0 is a choice."""
    outermost = len(leaf.path) == 1
    slot = _ANYWHERE.get(leaf.word) or (_OUTERMOST.get(leaf.word) if outermost else None)
    if leaf.word == "type" and _oauth2(leaf.choices):
        slot = Slot.AUTHENTICATION_TYPE
    unknown_way = slot in AUTHENTICATION and leaf.choices and not _oauth2(leaf.choices)
    return None if unknown_way or leaf.kind == "array of objects" else slot


def _oauth2(choices: Iterable[str]) -> str:
    return next((choice for choice in choices if plain(choice) in _OAUTH2), "")


def is_oauth2(text: str) -> bool:
    """Whether a type or label means OAuth 2.0, e.g. `oauth2` or `OAuth 2.0`."""
    return plain(text) in _OAUTH2


def _value(leaf: Leaf, slot: Slot, values: Mapping[Slot, str | Sequence[str]]) -> str | list[str]:
    if slot in AUTHENTICATION and leaf.choices:
        return _oauth2(leaf.choices)
    value = values.get(slot, "")
    if isinstance(value, str):
        return value
    return list(value) if leaf.kind == "array" else " ".join(value)


def _put(body: dict[str, Any], path: Path, value: str | list[str]) -> None:
    for name in path[:-1]:
        body = body.setdefault(name, {})
    body[path[-1]] = value


def _dotted(path: Path) -> str:
    return ".".join(path)
