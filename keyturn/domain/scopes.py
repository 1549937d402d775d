"""Gong's authorization scopes: which exist, which are typos, which deserve a second look, and which are needed.

Sources: Gong's official OpenAPI document as of 2026-07 for `OFFICIAL`; Gong's own pages for `ELSEWHERE`; working public
code for `HEARSAY`. Gong adds scopes, so an unknown one is never called wrong, only unlikely.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from keyturn.domain.manifest import REQUIRED_SCOPE
from keyturn.domain.profile import ActionInfo
from keyturn.errors import ManifestError

OFFICIAL = frozenset(
    {
        "api:ai-ask:read",
        "api:ai-briefer:read",
        "api:call-outcomes:read",
        "api:call-user-access:read",
        "api:call-user-access:write",
        "api:calls:create",
        "api:calls:read:basic",
        "api:calls:read:extensive",
        "api:calls:read:media-url",
        "api:calls:read:transcript",
        "api:coaching:read",
        "api:crm:get-objects",
        "api:crm:integration:delete",
        "api:crm:integration:register",
        "api:crm:integrations:read",
        "api:crm:schema",
        "api:crm:upload",
        "api:data-privacy:delete",
        "api:data-privacy:read",
        "api:digital-interactions:write",
        "api:engagement-data:write",
        "api:flows:read",
        "api:flows:write",
        "api:integration-settings:write",
        "api:library:read",
        "api:logs:read",
        "api:meetings:integration:status",
        "api:meetings:user:create",
        "api:meetings:user:delete",
        "api:meetings:user:update",
        "api:settings:scorecards:read",
        "api:settings:trackers:read",
        "api:stats:interaction",
        "api:stats:scorecards",
        "api:stats:user-actions",
        "api:stats:user-actions:detailed",
        "api:tasks:read",
        "api:tasks:write",
        "api:users:read",
        "api:workspaces:read",
    }
)
ELSEWHERE = frozenset(
    {
        "api:permission-profile:read",
        "api:permission-profile:write",
        "api:provisioning:read",
        "api:provisioning:read-write",
    }
)
HEARSAY = frozenset({"api:calls:create:basic", "api:settings:read"})

_CHANGING = frozenset({"create", "delete", "read-write", "register", "update", "upload", "write"})
_PERSONAL = {
    "api:calls:read:media-url": "opens the recordings of calls",
    "api:calls:read:transcript": "reads everything that was said in calls",
    "api:data-privacy:read": "reads everything that Gong holds about a person",
    "api:data-privacy:delete": "deletes everything that Gong holds about a person",
}


def is_known(scope: str) -> bool:
    """Whether one of Gong's own sources names the scope."""
    return scope in OFFICIAL or scope in ELSEWHERE


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, or `None` when none is."""
    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=0.5)), None)


def nearest_scope(scope: str) -> str | None:
    """The scope of Gong's own sources that is most like this one; one that it only prolongs comes first."""
    known = OFFICIAL | ELSEWHERE
    prolonged = [each for each in known if scope.startswith(f"{each}:")]
    return max(prolonged, key=len) if prolonged else nearest(scope, known)


def reach(scope: str) -> str | None:
    """What a scope can do that deserves a second look, as a clause; `None` for a plain reading scope."""
    if scope in _PERSONAL:
        return _PERSONAL[scope]
    changing = _CHANGING & set(scope.split(":")[2:])
    return f"lets the integration {' and '.join(sorted(changing))} in Gong" if changing else None


def unknown_actions(wanted: Iterable[str], offered: Sequence[ActionInfo]) -> dict[str, str | None]:
    """The wanted actions that StackOne does not offer, each with the nearest one that it does."""
    ids = {info.id for info in offered}
    return {action: nearest(action, ids) for action in wanted if action not in ids}


def required(
    manifest_scopes: Iterable[str], actions_wanted: Iterable[str], action_infos: Sequence[ActionInfo]
) -> tuple[str, ...]:
    """All scopes an integration asks for: those given, those its actions need, and `api:users:read`.

    Returns:
        Sorted, each once.

    Raises:
        ManifestError: StackOne does not offer one of the actions, so its scopes are unknown.
    """
    wanted = tuple(actions_wanted)
    if unknown := unknown_actions(wanted, action_infos):
        named = ", ".join(f"{action} (nearest: {near})" if near else action for action, near in unknown.items())
        raise ManifestError("stackone.actions", f"StackOne does not offer {named}", "Name actions that it offers.")
    derived = (scope for info in action_infos if info.id in wanted for scope in info.required_scopes)
    return tuple(sorted({REQUIRED_SCOPE, *manifest_scopes, *derived}))
