"""One thing that lint has to say, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """An error stops the integration; a warning will probably hurt; a notice is for whoever approves."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is noticed about one field.

    Attributes:
        rule: short name of the rule, e.g. `redirect-uri`.
        where: dotted path of the field, e.g. `gong.scopes.2`; empty for the file as a whole.
        line: line in the file, from 1; `None` when the manifest did not come from a file.
        message: what is wrong, a clause that names the field's value where that helps.
        remedy: what a person does about it, a sentence.
    """

    severity: Severity
    rule: str
    where: str
    message: str
    remedy: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.where) if part)
        return f"{place or 'manifest'}: {self.message}" + (f" → {self.remedy}" if self.remedy else "")


def error(rule: str, where: str, message: str, remedy: str = "") -> Finding:
    """A finding that stops the integration."""
    return Finding(Severity.ERROR, rule, where, message, remedy)


def warning(rule: str, where: str, message: str, remedy: str = "") -> Finding:
    """A finding that will probably hurt."""
    return Finding(Severity.WARNING, rule, where, message, remedy)


def notice(rule: str, where: str, message: str, remedy: str = "") -> Finding:
    """A finding for whoever approves."""
    return Finding(Severity.NOTICE, rule, where, message, remedy)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that stop the integration."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def placed(findings: Iterable[Finding], lines: Mapping[str, int]) -> list[Finding]:
    """The findings with the lines of their fields, in the order of the file; an absent field has its parent's line."""
    found = [finding if finding.line else replace(finding, line=_line(finding.where, lines)) for finding in findings]
    rank = list(Severity)
    return sorted(found, key=lambda f: (f.line or 0, rank.index(f.severity), f.where, f.rule, f.message))


def _line(where: str, lines: Mapping[str, int]) -> int | None:
    while where and where not in lines:
        where = where.rpartition(".")[0]
    return lines.get(where)
