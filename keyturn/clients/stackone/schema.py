"""The fields of a request body as an OpenAPI document describes them: `$ref` and `allOf` resolved, objects unfolded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

DEEPEST: Final = 4
"""Objects in objects. Also what stops a schema that contains itself."""
LONGEST_CHAIN: Final = 10
"""References to references, and `allOf` in `allOf`."""

Node = Mapping[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field of a request body.

    Attributes:
        path: names from the outside in, e.g. `("credentials", "client_id")`.
        kind: `string`, `array` (of texts), `array of objects`, … or an empty text when the document does not say.
        choices: the values it may have, if they are counted out.
        required: for each name of the path, whether the object around it must have it.
    """

    path: Path
    kind: str
    choices: tuple[str, ...]
    required: tuple[bool, ...]

    def needed(self, filled: Iterable[Path]) -> bool:
        """Whether a body that has the `filled` paths is refused without this one.

        A field that is required inside an optional object is needed as soon as something else in there is filled.
        """
        present = {path[:depth] for path in filled for depth in range(1, len(path) + 1)}
        return all(must or self.path[: depth + 1] in present for depth, must in enumerate(self.required))

    @property
    def word(self) -> str:
        """The innermost name without case and punctuation, so that `clientId` and `client_id` are one."""
        return plain(self.path[-1])


def plain(text: str) -> str:
    """Letters and digits only, in lower case."""
    return "".join(c for c in text.lower() if c.isalnum())


def leaves_of(document: Node, schema: object) -> list[Leaf]:
    """All fields of a schema that are not objects, in the document's order."""
    return list(_unfolded(document, schema, (), ()))


def pointed(document: Node, node: object) -> object:
    """The node, or what its `$ref` within the document points at (RFC 6901); nothing for one that leads out of it."""
    reference = mapping(node).get("$ref")
    if reference is None:
        return node
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: object = document
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = mapping(found).get(name)
    return found


def mapping(value: object) -> Node:
    """The value if it is an object; an empty one if not. Nobody promises that a document is well formed."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> list[Any]:
    """The value if it is a list; an empty one if not."""
    return value if isinstance(value, list) else []


def _unfolded(document: Node, schema: object, path: Path, required: tuple[bool, ...]) -> Iterator[Leaf]:
    whole = _resolved(document, schema)
    properties = mapping(whole.get("properties"))
    if properties and len(path) < DEEPEST:
        needed = listed(whole.get("required"))
        for name, inner in properties.items():
            yield from _unfolded(document, inner, (*path, name), (*required, name in needed))
    elif path:
        yield Leaf(path, _kind(document, whole), _choices(whole), required)


def _resolved(document: Node, schema: object, depth: int = 0) -> dict[str, Any]:
    """One schema with its reference followed and its `allOf` merged. `oneOf` only if all but one say `null`."""
    if not isinstance(schema, Mapping) or depth > LONGEST_CHAIN:
        return {}
    if "$ref" in schema:
        return _resolved(document, pointed(document, schema), depth + 1)
    merged: dict[str, Any] = dict(schema)
    for part in [*listed(schema.get("allOf")), *_only(schema.get("oneOf")), *_only(schema.get("anyOf"))]:
        inner = _resolved(document, part, depth + 1)
        properties = {**mapping(merged.get("properties")), **mapping(inner.get("properties"))}
        required = [*listed(merged.get("required")), *listed(inner.get("required"))]
        merged = {**inner, **merged, "properties": properties, "required": required}
    return merged


def _only(parts: object) -> list[Any]:
    alternatives = [part for part in listed(parts) if mapping(part).get("type") != "null"]
    return alternatives if len(alternatives) == 1 else []


def _kind(document: Node, schema: Node) -> str:
    kinds = schema.get("type")
    if isinstance(kinds, list):  # OpenAPI 3.1 writes a nullable text as ["string", "null"]
        kinds = next((kind for kind in kinds if kind != "null"), "")
    if kinds == "array" and _resolved(document, schema.get("items")).get("properties"):
        return "array of objects"
    return kinds if isinstance(kinds, str) else ""


def _choices(schema: Node) -> tuple[str, ...]:
    values = [schema["const"]] if "const" in schema else listed(schema.get("enum"))
    return tuple(value for value in values if isinstance(value, str))
