"""YAML text in; plain data, the line of every field, and the faults of the text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from keyturn.domain.finding import Finding, Severity, error

LARGEST_FILE = 256 * 1024  # bytes; a filled-in manifest has about two thousand
_MOST_VALUES = 10_000  # YAML's aliases can make few bytes mean many values
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Text:
    """What a YAML file says.

    Attributes:
        data: its top-level mapping, empty when there is none.
        lines: line of each dotted field path, from 1.
        findings: faults of the text itself, with their lines.
    """

    data: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def parse(content: bytes) -> Text:
    """Read YAML 1.2 as plain values; whatever is wrong with the text is a finding, never an exception."""
    if len(content) > LARGEST_FILE:
        return _only(error("file", "", f"is larger than {LARGEST_FILE // 1024} KiB", "This is no manifest."))
    try:
        return _parsed(content.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        line = content[: fault.start].count(b"\n") + 1
        return _only(_syntax("is not UTF-8", line))
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        told = ", ".join(part for part in (fault.context, fault.problem) if part)
        return _only(_syntax(f"is not YAML: {told}", mark.line + 1 if mark else None))
    except RecursionError:
        return _only(_syntax("is nested too deeply", None))
    except Exception as fault:  # noqa: BLE001  besides YAMLError, ruamel lets out whatever a malformed date or number raises
        return _only(
            _syntax(f"is not YAML: {str(fault).splitlines()[0] if str(fault) else type(fault).__name__}", None)
        )


def _parsed(text: str) -> Text:
    yaml = _yaml()
    node = yaml.compose(text)
    if not isinstance(node, MappingNode):
        return _only(error("file", "", "is not a mapping of fields", "Begin with `tenant:` and `environment:`."))
    lines: dict[str, int] = {}
    findings = []
    for count, (where, line) in enumerate(_places(node, "", 0)):
        if count > _MOST_VALUES:
            return _only(error("file", "", f"has more than {_MOST_VALUES} values", "This is no manifest."))
        if where in lines:
            findings.append(_duplicate(where, line, lines[where]))
        lines.setdefault(where, line)
    # From the nodes that are there: reading the text once more would take as long again, for every file of a fleet.
    return Text(dict(yaml.constructor.construct_document(node)), lines, tuple(findings))


class _Constructor(SafeConstructor):
    """Leaves dates as they are written: one that is in no calendar is a fault of its field, which has a line."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    yaml.allow_duplicate_keys = True  # each one is reported, with its line, instead of only the first
    return yaml


def _places(node: Node, where: str, depth: int) -> Iterator[tuple[str, int]]:
    """Every field's dotted path and line; a path comes twice when a key does."""
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(node, MappingNode):
        inner = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, SequenceNode):
        inner = [(str(index), value, value) for index, value in enumerate(node.value)]
    else:
        return
    seen = set()
    for name, named_by, value in inner:
        path = f"{where}.{name}" if where else name
        yield path, named_by.start_mark.line + 1
        if name not in seen:  # what is inside a second one would only repeat the fault
            yield from _places(value, path, depth + 1)
        seen.add(name)


def _duplicate(where: str, line: int, first: int) -> Finding:
    message = f"is given a second time; line {first} has it already"
    return Finding(Severity.ERROR, "duplicate-key", where, message, "Keep one of the two.", line)


def _syntax(message: str, line: int | None) -> Finding:
    return Finding(Severity.ERROR, "yaml", "", message, "Correct the file's text.", line)


def _only(finding: Finding) -> Text:
    return Text(findings=(finding,))
