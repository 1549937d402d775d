"""Lint: what the values of a manifest mean, and every fault in them at once.

Rules look at values only. What a file or a server says about them (the logo, whether links answer) is found elsewhere
and reported as the same `Finding`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from keyturn.domain.finding import Finding, Severity, error, errors, notice, placed, warning
from keyturn.domain.gate import Channel
from keyturn.domain.lint_form import form_findings, links_of
from keyturn.domain.lint_rotation import rotation_findings
from keyturn.domain.lint_scopes import scope_findings
from keyturn.domain.manifest import Manifest
from keyturn.domain.profile import ActionInfo

__all__ = ["Finding", "Severity", "errors", "links_of", "lint", "placed"]

_LONGEST_WAIT = 260  # working days, a year
_MANY_LINES = "gong.description"
# Control, surrogate, private and line-separating characters, and formatting ones that reorder or hide text. The joiners
# that emoji and some scripts are made with (U+200C, U+200D) are innocent.
_HIDDEN = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")


def lint(
    manifest: Manifest, *, lines: Mapping[str, int] | None = None, actions: Sequence[ActionInfo] | None = None
) -> list[Finding]:
    """Everything to say about a manifest, in the order of its file.

    Args:
        manifest: of the right shape, as pydantic made it.
        lines: line of each dotted field path, from 1; without it no finding has a line.
        actions: what StackOne offers; without it, scopes that derive from actions are not judged.
    """
    rules = (
        _characters(manifest),
        _duplicates(manifest),
        form_findings(manifest.gong),
        scope_findings(manifest, actions),
        _approval(manifest),
        rotation_findings(manifest),
        _notification(manifest),
    )
    return placed(chain.from_iterable(rules), lines or {})


def _characters(manifest: Manifest) -> Iterator[Finding]:
    for where, text in _texts(manifest.model_dump(mode="json"), ""):
        allowed = "\n\t" if where == _MANY_LINES else ""
        hidden = sorted({f"U+{ord(c):04X}" for c in text if c not in allowed and _is_hidden(c)})
        if hidden:
            yield error("characters", where, f"contains {', '.join(hidden)}, which nobody can see", "Type it again.")
    for where in ("name", "short_description", "description"):
        if not getattr(manifest.gong, where).strip():
            yield error("blank", f"gong.{where}", "is blank", "Gong shows this to people: write a few words.")


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _HIDDEN or (category == "Cf" and character not in _JOINERS)


def _texts(value: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{where}.{index}")


def _duplicates(manifest: Manifest) -> Iterator[Finding]:
    gong, stackone = manifest.gong, manifest.stackone
    lists = {
        "gong.scopes": gong.scopes,
        "gong.redirect_uris": gong.redirect_uris,
        "gong.contact_emails": [email.lower() for email in gong.contact_emails],
        "gong.domains": [domain.lower() for domain in gong.domains],
        "gong.trusted_ips.access_token": gong.trusted_ips.access_token,
        "gong.trusted_ips.refresh_token": gong.trusted_ips.refresh_token,
        "stackone.actions": stackone.actions,
        "approval.groups": manifest.approval.groups,
        "admins.gong": manifest.admins.gong,
        "admins.stackone": manifest.admins.stackone,
        "rotation.window.days": manifest.rotation.window.days if manifest.rotation.window else (),
    }
    for where, entries in lists.items():
        for index, entry in enumerate(entries):
            if entry in entries[:index]:
                yield warning("duplicate", f"{where}.{index}", f"{entry} is there already", "Remove one of the two.")


def _approval(manifest: Manifest) -> Iterator[Finding]:
    approval = manifest.approval
    if approval.channel is not Channel.PREFECT:
        return
    if approval.approvals > 1:
        remedy = "Use channel: keyturn, or ask for one approval."
        message = f"Prefect's form cannot tell {approval.approvals} people apart"
        yield error("approval", "approval.approvals", message, remedy)
    message = "four eyes are off: whoever can open Prefect's UI can approve"
    yield notice("approval", "approval.channel", message, "Use channel: keyturn where two people are at hand.")


def _notification(manifest: Manifest) -> Iterator[Finding]:
    policy = manifest.notification
    days = [*policy.remind_after_days, policy.escalate_after_days, policy.rearm_after_days]
    if days != sorted(set(days)):
        message = f"reminders, escalation and re-arming do not follow each other (days {', '.join(map(str, days))})"
        yield warning("notification", "notification", message, "Let every number be larger than the one before.")
    if max(days) > _LONGEST_WAIT:
        message = f"{max(days)} working days are more than a year"
        yield error("notification", "notification", message, "Nobody would be asked again: write fewer days.")
