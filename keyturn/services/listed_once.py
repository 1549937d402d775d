"""StackOne as one command over many integrations sees it: what does not depend on the integration is listed once."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from keyturn.domain.profile import ActionInfo, Profile
from keyturn.ports import ConnectorHub


class ListedOnce:
    """Implements `keyturn.ports.ConnectorHub`. Only for what is shown or sealed: nothing is created by an old list.

    For ten thousand manifests, reading the list of all profiles for each would be four million pages.
    """

    def __init__(self, hub: ConnectorHub) -> None:
        self._hub, self._lock = hub, Lock()
        self._profiles: dict[str, Sequence[Profile]] = {}
        self._actions: dict[str, Sequence[ActionInfo]] = {}

    def profiles(self, connector: str) -> Sequence[Profile]:
        """All profiles of a connector, as they were when they were first asked for. A failure is not kept."""
        with self._lock:
            if connector not in self._profiles:
                self._profiles[connector] = self._hub.profiles(connector)
            return self._profiles[connector]

    def actions(self, connector: str) -> Sequence[ActionInfo]:
        """All actions of a connector, likewise."""
        with self._lock:
            if connector not in self._actions:
                self._actions[connector] = self._hub.actions(connector)
            return self._actions[connector]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  everything else is asked as ever
        return getattr(self._hub, name)
