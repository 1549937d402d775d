"""The list of all profiles, as one round of checks has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Lock

from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.profile import Profile
from keyturn.errors import KeyturnError
from keyturn.ports import Clock, ConnectorHub

QUICK = timedelta(seconds=5)
"""What failed so soon is tried once more: a blip should not cost a round."""

_READINGS = 2  # one for all, and one more where that shows a fault, which may have been mended since


class Profiles:
    """The list of all profiles, read for many integrations and threads.

    What is waited for is waited for once: a failure that took long, or came twice, is everybody's answer for the rest
    of the round. Whoever is shown as expected waits for nobody.
    """

    def __init__(self, hub: ConnectorHub, clock: Clock) -> None:
        self._hub, self._clock, self._lock = hub, clock, Lock()
        self._known: Mapping[str, Profile] = {}
        self._readings = 0
        self._stumbled = False
        self._failure: KeyturnError | None = None

    def find(self, profile_id: str, *, as_expected: Callable[[Profile], bool]) -> Profile | None:
        """The profile, or `None` when there is none.

        One that is not as expected is looked up afresh, once a round: what changed after that is seen in the next one.

        Raises:
            KeyturnError: StackOne could not be asked, now or earlier in this round.
        """
        found = self._listed(profile_id)
        if found is not None and as_expected(found):
            return found
        with self._lock:
            found = self._listed(profile_id)  # somebody else may have read the list meanwhile
            if self._readings < _READINGS and not (found is not None and as_expected(found)):
                self._read()
            return self._listed(profile_id)

    def _listed(self, profile_id: str) -> Profile | None:
        return self._known.get(profile_id)

    def _read(self) -> None:
        if self._failure is not None:
            raise self._failure
        began = self._clock.now()
        try:
            self._known = {profile.id: profile for profile in self._hub.profiles(CONNECTOR)}
        except KeyturnError as error:
            if self._stumbled or self._clock.now() - began >= QUICK:
                self._failure = error
            self._stumbled = True
            raise
        self._readings += 1
