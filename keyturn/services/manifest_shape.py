"""From plain data to a manifest: every fault of shape as a finding, and a draft of the rest for lint."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel, ValidationError

from keyturn.domain.finding import Finding, error
from keyturn.domain.manifest import REDIRECT_URI, Manifest
from keyturn.domain.scopes import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_WORDS = {
    "missing": "is missing",
    "string_type": "is not text",
    "tuple_type": "is not a list",
    "model_type": "is not a group of fields",
    "bool_type": "is not true or false",
    "bool_parsing": "is not true or false",
    "string_pattern_mismatch": "has characters that are not allowed here",
}
_REMEDIES = {
    "string_type": "Put a text behind the colon, in quotes if YAML would read it as something else.",
    "tuple_type": "Write one entry a line, each after a hyphen.",
    "model_type": "Indent its fields below it.",
    "clock_time": 'Write hours and minutes in quotes, as in "09:00".',
    "calendar_day": "Write year, month and day, as in 2026-12-24.",
}
_NAME_REMEDY = "Use 1 to 63 lower-case letters, digits and inner hyphens, as in acme."

# Takes the place of what is faulty, so that the rest can be linted; findings about these values are never shown.
_STAND_IN: dict[str, object] = {
    "tenant": "stand-in",
    "environment": "stand-in",
    "gong": {
        "name": "-",
        "description": "-",
        "short_description": "-",
        "logo": "-",
        "redirect_uris": [REDIRECT_URI],
        "privacy_policy_url": "https://stand-in.example",
        "terms_url": "https://stand-in.example",
        "help_url": "https://stand-in.example",
        "contact_emails": [],
        "domains": [],
    },
    "stackone": {"origin_owner": {"id": "-", "name": "-"}},
    "rotation": {"window": {"timezone": "UTC"}, "canary_owner": {"id": "--", "name": "-"}},
}


def shape(data: Mapping[str, object]) -> tuple[Manifest | None, list[Finding]]:
    """Make a manifest of plain data.

    Returns:
        The manifest, or a draft of it if there are findings: faulty fields have stand-ins, so it is good for linting
        the others and nothing else. `None` when even that cannot be made.
    """
    try:
        return Manifest.model_validate(data), []
    except ValidationError as faults:
        details = faults.errors(include_url=False, include_context=False)
    return _draft(data, details), [_finding(detail) for detail in details]


def _finding(detail: ErrorDetails) -> Finding:
    path, kind = [str(part) for part in detail["loc"]], detail["type"]
    where = ".".join(path)
    if kind == "extra_forbidden":
        return _unknown_field(path)
    if kind == "string_type" and detail["input"] is None:
        return error("shape", where, "is empty", "Put a text behind the colon.")
    remedy = _NAME_REMEDY if where in ("tenant", "environment") else _REMEDIES.get(kind, "")
    return error("shape", where, _WORDS.get(kind, detail["msg"]), remedy)


def _unknown_field(path: list[str]) -> Finding:
    where, name = ".".join(path), path[-1]
    if "secret" in name.lower():
        remedy = "Remove it, and rotate what was written here: a manifest is read by many. Hand it to `keyturn submit`."
        return error("secret", where, "a secret never belongs in a manifest", remedy)
    near = nearest(name, _fields(path[:-1]))
    return error("unknown-field", where, "is not a field", f"Did you mean {near}?" if near else "Remove it.")


def _fields(path: list[str]) -> list[str]:
    model: type[BaseModel] = Manifest
    for name in path:
        if name.isdigit():  # an entry of a list, which has led to the model of its entries already
            continue
        model = _group_in(model.model_fields[name].annotation)
    return [field.alias or name for name, field in model.model_fields.items()]


def _group_in(annotation: object) -> type[BaseModel]:
    """The group of fields that an annotation is about: it may be optional, or in a list."""
    kinds = (annotation, *get_args(annotation))
    return next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))


def _draft(data: Mapping[str, object], details: list[ErrorDetails]) -> Manifest | None:
    draft = deepcopy(dict(data))
    for detail in details:
        _mend(draft, [str(part) for part in detail["loc"]])
    try:
        return Manifest.model_validate(draft)
    except ValidationError:
        return None


def _mend(draft: dict[str, object], path: list[str]) -> None:
    """Replace the field that the path leads to, or the innermost field around it, by its stand-in if it needs one."""
    at: object = draft
    stand_in: object = _STAND_IN
    for depth, name in enumerate(path):
        stand_in = stand_in.get(name) if isinstance(stand_in, dict) else None
        inner = at.get(name) if isinstance(at, dict) else None
        if depth < len(path) - 1 and isinstance(inner, dict):
            at = inner
            continue
        if isinstance(at, dict):
            at.pop(name, None)
            if stand_in is not None:
                at[name] = deepcopy(stand_in)
        return
