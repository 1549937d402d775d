"""The words of notices: plain text that also reads well as Markdown, and fits into a Slack message.

Facts come from outside: causes that vendors stated, states, counts. They are shown as text and nothing else, so none
can make a link, call a whole Slack channel, or draw lines of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from keyturn.domain.gate import GateKind
from keyturn.domain.notice import Event, Notice, Severity

LONGEST_TITLE = 150
LONGEST_BODY = 3000
"""In characters: https://docs.slack.dev/reference/block-kit/blocks, the headings and sections of a Slack message."""

_LONGEST_FACT, _LONGEST_NAME, _MOST_FACTS, _LONGEST_REMEDY = 160, 30, 8, 300
_LONGEST_LINE, _MOST_LINES = 100, 20
_LONGEST_KEY, _LONGEST_LINK = 130, 500
_NOT_SHOWN = frozenset({"attempt", "run", "kind", "remedy"})
# Full-width twins look like the originals, and mean nothing to Markdown, Slack, HTML or a mail reader.
_HARMLESS = {ord(c): ord(c) + 0xFEE0 for c in "*`~<>&[]{}|#@\\"}
_LOOSE_UNDERSCORE = re.compile(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")


class _Template(NamedTuple):
    title: str
    says: str
    next: str


def words(notice: Notice, link: str) -> tuple[str, str]:
    """A title and a body for people.

    Args:
        notice: what happened.
        link: the page to look at, or empty.
    """
    key = _plain(notice.key, _LONGEST_KEY)
    asked, command = _ASKED.get(notice.facts.get("kind", ""), _UNKNOWN_QUESTION)
    template = _TEMPLATES[notice.event]
    cause = _plain(notice.facts.get("cause", ""), _LONGEST_NAME).replace("_", " ") or "see below"
    fields = {"key": key or "keyturn", "asked": asked, "command": command.format(key=key), "cause": cause}
    title = f"{_urgency(notice.severity)}{fields['key']}: {template.title.format_map(fields)}"
    remedy = _plain(notice.facts.get("remedy", ""), _LONGEST_REMEDY, keep="`") or template.next.format_map(fields)
    says = template.says.format_map(fields)
    return _cut(title, LONGEST_TITLE), _body(says, _lines(notice.facts), f"Next: {remedy}", link)


def digest(notices: Sequence[Notice], link: str) -> tuple[str, str]:
    """One message in place of many: how many, and a line for each of the most urgent."""
    by_urgency = sorted(notices, key=lambda n: list(Severity).index(n.severity), reverse=True)
    counted = Counter(n.severity for n in by_urgency)
    title = f"{_urgency(by_urgency[0].severity)}keyturn: {len(notices)} notices at once"
    says = "Many things came together: " + ", ".join(f"{number} {severity}" for severity, number in counted.items())
    lines = [f"- {_cut(words(n, '')[0], _LONGEST_LINE)}" for n in by_urgency[:_MOST_LINES]]
    if len(by_urgency) > _MOST_LINES:
        lines.append(f"- and {len(by_urgency) - _MOST_LINES} more")
    return title, _body(f"{says}.", lines, "Next: see where everything stands with `keyturn status --all`.", link)


def _urgency(severity: Severity) -> str:
    return f"{severity.upper()} " if severity.reaches(Severity.ERROR) else ""


def _body(says: str, lines: Sequence[str], then: str, link: str) -> str:
    parts = [says, "\n".join(lines), then, link if len(link) <= _LONGEST_LINK else ""]
    return "\n\n".join(part for part in parts if part)


def _lines(facts: Mapping[str, str]) -> list[str]:
    shown = [(name, value) for name, value in sorted(facts.items()) if name not in _NOT_SHOWN and value]
    lines = [f"- {_plain(n, _LONGEST_NAME).replace('_', ' ')}: {_plain(v, _LONGEST_FACT)}" for n, v in shown]
    return lines[:_MOST_FACTS]


def _plain(text: object, longest: int, keep: str = "") -> str:
    """One line of text that no reader's program takes for anything else."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in str(text)[: 2 * longest])
    marks = {mark: twin for mark, twin in _HARMLESS.items() if chr(mark) not in keep}
    harmless = _LOOSE_UNDERSCORE.sub(" ", visible.translate(marks)).replace("://", ": //")
    return _cut(" ".join(harmless.split()), longest)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


_UNKNOWN_QUESTION = ("an answer", "`keyturn gates {key}`")
_ASKED: Mapping[str, tuple[str, str]] = {
    GateKind.APPROVE: ("approval", "`keyturn approve {key}`"),
    GateKind.GONG_ADMIN: ("the integration in Gong and its client secret", "`keyturn submit {key}`"),
    GateKind.STACKONE_FORM: ("the profile in StackOne's form", "`keyturn reveal {key}`"),
    GateKind.CONSENT: ("consent by the auth link", "`keyturn link {key}`"),
    GateKind.GONG_ROTATION: ("a new client secret from Gong", "`keyturn submit {key}`"),
    GateKind.PROOF: ("proof that the new secret works", "`keyturn link {key}`"),
    GateKind.GRACE: ("nothing but time", "`keyturn status {key}`"),
}

_STATUS = "see `keyturn status {key}`."
_TEMPLATES: Mapping[Event, _Template] = {
    Event.GATE_OPENED: _Template(
        "{asked} is asked for",
        "{key} goes on once somebody has given {asked}.",
        "look with `keyturn gates {key}`, then {command}.",
    ),
    Event.GATE_REMINDER: _Template(
        "still waits for {asked}", "{key} has been waiting for {asked}, and nothing moves until then.", "{command}."
    ),
    Event.GATE_ESCALATED: _Template(
        "has waited too long for {asked}",
        "{key} was asked for {asked}, reminders brought no answer, and somebody else may have to see to it.",
        "find out with `keyturn gates {key}` who is asked; then {command}.",
    ),
    Event.GATE_REARMED: _Template(
        "{asked} is asked for afresh",
        "Nobody answered {key} in time. Answers given so far are void, and {asked} is asked for again.",
        "{command}.",
    ),
    Event.ATTEMPT_COMPLETED: _Template("completed", "The attempt for {key} has completed.", "nothing; " + _STATUS),
    Event.ATTEMPT_REJECTED: _Template(
        "rejected",
        "The attempt for {key} was rejected and has ended.",
        "read why with `keyturn status {key}`, then start anew.",
    ),
    Event.ATTEMPT_REFUSED: _Template(
        "a rotation could not begin",
        "Something that the rotation of {key} needs was not there. Nobody was asked, and nothing was changed.",
        "read why with `keyturn status {key}`; then `keyturn rotate {key}`, or the sweep tries again tomorrow.",
    ),
    Event.ATTEMPT_STUCK: _Template(
        "an attempt is stuck",
        "The run that carried the attempt for {key} is over, and starting it again did not help.",
        "read why with `keyturn status {key}` and in Prefect, correct it, and restart it.",
    ),
    Event.ROTATION_PLANNED: _Template(
        "a rotation begins",
        "The client secret of {key} is about to be rotated.",
        "nothing yet; people are asked when it is their turn. " + _STATUS.capitalize(),
    ),
    Event.ROTATION_UNVERIFIED: _Template(
        "the new secret is not proven",
        "The client secret of {key} was rotated in Gong, and nothing has shown yet that the new one works. "
        "When the grace ends, Gong takes the old one no more.",
        "prove it, or go back: `keyturn status {key}` says how, `keyturn rotate rollback {key}` goes back.",
    ),
    Event.ROTATION_ROLLED_BACK: _Template(
        "a rotation was rolled back",
        "{key} uses its old client secret again. That works only until the grace ends.",
        "read why with `keyturn status {key}`, then `keyturn rotate resume {key}` or `keyturn rotate abandon {key}`.",
    ),
    Event.ROTATION_ORPHANED: _Template(
        "a rotation is orphaned",
        "The rotation of {key} has halted, and keyturn does not dare to go on by itself.",
        "look at it now: `keyturn status {key}`, then `keyturn rotate resume {key}` or `keyturn rotate abandon {key}`.",
    ),
    Event.SWEEP_STOPPED: _Template(
        "the sweep has stopped",
        "A rotation failed, so no further ones are started.",
        "see `keyturn status --all`; resolve what failed, and the next sweep goes on.",
    ),
    Event.AUDIT_BROKEN: _Template(
        "the audit trail is not as it was written",
        "A row was changed, removed or put in, the chain's end was cut off, or its head was taken out of Vault.",
        "keep a copy of the ledger and of Vault's audit log, then run `keyturn audit verify`.",
    ),
    Event.DRIFT_RAISED: _Template(
        "is not as it should be: {cause}", "The watch has seen twice that {key} is not as it should be.", _STATUS
    ),
    Event.DRIFT_CLEARED: _Template(
        "is as it should be again: {cause}", "What the watch had raised about {key} is over.", "nothing."
    ),
    Event.WRAPPING_TOKEN_USED: _Template(
        "a wrapping token was already used",
        "A single-use wrapping token for {key} had been opened before it was handed in. "
        "Somebody else may have read the client secret.",
        "unless you know who opened it, rotate the secret in Gong, and hand in the new one with {command}.",
    ),
    Event.TEST: _Template(
        "a test", "This is a test. Whoever reads it would have been told, had something happened.", "nothing."
    ),
}
