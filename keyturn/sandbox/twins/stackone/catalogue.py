"""The connectors that can be chosen, and what can be done with Gong: actions and the scopes they need."""

from typing import Any, NamedTuple


class Connector(NamedTuple):
    """A connector; its newest version first."""

    key: str
    label: str
    categories: tuple[str, ...]
    versions: tuple[str, ...]


class Action(NamedTuple):
    """Something that can be done at Gong. `path` is set for the ones that this twin really does."""

    id: str
    label: str
    required_scopes: tuple[str, ...]
    path: str = ""
    items: str = ""


CONNECTORS = {
    each.key: each
    for each in (
        Connector("gong", "Gong", ("crm",), ("1.4.0", "1.3.2", "1.3.1")),
        Connector("hubspot", "HubSpot", ("crm", "marketing"), ("2.1.0",)),
        Connector("slack", "Slack", ("messaging",), ("1.0.3",)),
    )
}

GONG_ACTIONS = {
    each.id: each
    for each in (
        Action("list_users", "List users", ("api:users:read",), "/v2/users", "users"),
        Action("get_user", "Get user", ("api:users:read",)),
        Action("list_workspaces", "List workspaces", ("api:workspaces:read",), "/v2/workspaces", "workspaces"),
        Action("list_calls", "List calls", ("api:calls:read:basic",)),
        Action("get_call", "Get call", ("api:calls:read:basic", "api:calls:read:extensive")),
        Action("get_call_transcript", "Get call transcript", ("api:calls:read:transcript",)),
        Action("create_call", "Create call", ("api:calls:create",)),
        Action("list_user_activity", "List user activity", ("api:stats:user-actions",)),
        Action("list_interaction_stats", "List interaction statistics", ("api:stats:interaction",)),
        Action("list_scorecards", "List scorecards", ("api:settings:scorecards:read",)),
        Action("list_library_folders", "List library folders", ("api:library:read",)),
        Action("list_flows", "List flows", ("api:flows:read",)),
    )
}


def connector_actions(key: str, *, details: bool) -> dict[str, Any]:
    """One entry of GET /actions."""
    connector = CONNECTORS[key]
    actions = list(GONG_ACTIONS.values()) if key == "gong" else []
    scopes = sorted({scope for action in actions for scope in action.required_scopes})
    authentication = {"type": "oauth2", "label": "OAuth 2.0", "key": "oauth2", "required_scopes": ["api:users:read"]}
    return {
        "key": connector.key,
        "name": connector.label,
        "version": connector.versions[0],
        "release_stage": "ga",
        "authentication": [authentication],
        "actions": [_action(action, details=details) for action in actions],
        "scope_definitions": [{"name": scope, "description": f"Gong scope {scope}"} for scope in scopes],
    }


def _action(action: Action, *, details: bool) -> dict[str, Any]:
    brief = {"id": action.id, "label": action.label, "description": f"{action.label} in Gong"}
    return brief | {"required_scopes": list(action.required_scopes)} if details else brief
