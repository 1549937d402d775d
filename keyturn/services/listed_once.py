"""StackOne as one command over many integrations sees it: what does not depend on the integration is listed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

from keyturn.domain.profile import ActionInfo, Profile
from keyturn.errors import KeyturnError
from keyturn.ports import ConnectorHub

_Entry = TypeVar("_Entry")
_TRIES = 2  # for all: a blip should not cost a command, and a StackOne that is away not a time-out for each


class ListedOnce:
    """Implements `keyturn.ports.ConnectorHub`. Only for what is shown or sealed: nothing is created by an old list.

    For ten thousand manifests, reading the list of all profiles for each would be four million pages. A failure that
    came twice is everybody's answer, for as long as this lives.
    """

    def __init__(self, hub: ConnectorHub) -> None:
        self._hub = hub
        self._profiles: _Once[Profile] = _Once(self._list_profiles)
        self._actions: _Once[ActionInfo] = _Once(self._list_actions)

    def profiles(self, connector: str) -> Sequence[Profile]:
        """All profiles of a connector, as they were when they were first asked for.

        Raises:
            KeyturnError: they could not be listed, now or earlier.
        """
        return self._profiles.of(connector)

    def actions(self, connector: str) -> Sequence[ActionInfo]:
        """All actions of a connector, likewise."""
        return self._actions.of(connector)

    def _list_profiles(self, connector: str) -> Sequence[Profile]:
        return self._hub.profiles(connector)  # looked up only now: a hub out of reach fails by then

    def _list_actions(self, connector: str) -> Sequence[ActionInfo]:
        return self._hub.actions(connector)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  everything else is asked as ever
        return getattr(self._hub, name)


@dataclass(slots=True)
class _Once(Generic[_Entry]):
    """A list of each connector. Whoever needs it while it is read waits for that; nobody else does."""

    ask: Callable[[str], Sequence[_Entry]]
    _known: dict[str, Sequence[_Entry]] = field(default_factory=dict)
    _failures: dict[str, list[KeyturnError]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, connector: str) -> Sequence[_Entry]:
        with self._lock:
            if connector not in self._known:
                self._known[connector] = self._asked(connector)
            return self._known[connector]

    def _asked(self, connector: str) -> Sequence[_Entry]:
        failures = self._failures.setdefault(connector, [])
        if len(failures) >= _TRIES:
            raise failures[-1]
        try:
            return self.ask(connector)
        except KeyturnError as error:
            failures.append(error)
            raise
