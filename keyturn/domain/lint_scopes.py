"""Lint of scopes: those that are given, and those that the wanted actions bring along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keyturn.domain import scopes
from keyturn.domain.finding import Finding, error, notice, warning
from keyturn.domain.manifest import REQUIRED_SCOPE, Manifest
from keyturn.domain.profile import ActionInfo


def scope_findings(manifest: Manifest, actions: Sequence[ActionInfo] | None) -> Iterator[Finding]:
    """Everything to say about scopes and actions; `actions` is what StackOne offers, if it was asked."""
    given, wanted = manifest.gong.scopes, manifest.stackone.actions
    if given and REQUIRED_SCOPE not in given:
        message = f"{REQUIRED_SCOPE} is missing, and the connection cannot be tested without it"
        yield error("required-scope", "gong.scopes", message, f"Add {REQUIRED_SCOPE}.")
    for index, scope in enumerate(given):
        yield from _scope(f"gong.scopes.{index}", scope, "")
    if actions is not None:
        yield from _unknown_actions(wanted, actions)
        yield from _derived(manifest, actions)
        yield from _unused(manifest, actions)


def _scope(where: str, scope: str, because: str) -> Iterator[Finding]:
    near = scopes.nearest_scope(scope)
    remedy = f"Did you mean {near}?" if near else "Compare it with the list in Gong's form."
    if scope in scopes.HEARSAY:
        message = f"{scope}{because} is used in public code but named by none of Gong's sources"
        yield warning("hearsay-scope", where, message, remedy)
    elif not scopes.is_known(scope):
        yield warning("unknown-scope", where, f"{scope}{because} is not a scope that Gong is known to have", remedy)
    elif reach := scopes.reach(scope):
        message = f"{scope}{because} {reach}"
        yield notice("least-privilege", where, message, "Approve it only if the integration needs it.")


def _unknown_actions(wanted: Sequence[str], actions: Sequence[ActionInfo]) -> Iterator[Finding]:
    unknown = scopes.unknown_actions(wanted, actions)
    for index, action in enumerate(wanted):
        if action in unknown:
            near = unknown[action]
            remedy = f"Did you mean {near}?" if near else "Name one that it offers."
            message = f"{action!r} is not an action that StackOne offers"
            yield error("unknown-action", f"stackone.actions.{index}", message, remedy)


def _derived(manifest: Manifest, actions: Sequence[ActionInfo]) -> Iterator[Finding]:
    needs = {info.id: info.required_scopes for info in actions}
    seen = set(manifest.gong.scopes)
    for index, action in enumerate(manifest.stackone.actions):
        for scope in needs.get(action, ()):
            if scope not in seen:
                seen.add(scope)
                yield from _scope(f"stackone.actions.{index}", scope, f" (needed by {action})")


def _unused(manifest: Manifest, actions: Sequence[ActionInfo]) -> Iterator[Finding]:
    """Scopes given beyond what the wanted actions need; without wanted actions nobody can tell."""
    wanted = manifest.stackone.actions
    if not wanted or scopes.unknown_actions(wanted, actions):
        return
    needed = scopes.required((), wanted, actions)
    for index, scope in enumerate(manifest.gong.scopes):
        if scope not in needed:
            message = f"no wanted action needs {scope}"
            yield notice("least-privilege", f"gong.scopes.{index}", message, "Remove it unless something else does.")
