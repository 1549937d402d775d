"""The list of all profiles, as one round of checks has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Lock

from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.profile import Profile
from keyturn.errors import KeyturnError
from keyturn.ports import Clock, ConnectorHub

QUICK = timedelta(seconds=5)
"""What failed so soon is tried once more: a blip should not cost a round."""

_READINGS = 2  # one for all, and one more where that shows a fault, which may have been mended since
_CLOCKS_DIFFER = timedelta(minutes=1)  # a receipt is dated by the machine that wrote it
_FAILED_FOR = timedelta(minutes=1)  # so long nobody asks again; a round of a large fleet takes longer


class Profiles:
    """The list of all profiles, read for many integrations and threads.

    What is waited for is waited for once: a failure that took long, or came twice, is everybody's answer for a while.
    Whoever is shown as expected waits for nobody.
    """

    def __init__(self, hub: ConnectorHub, clock: Clock) -> None:
        self._hub, self._clock, self._lock = hub, clock, Lock()
        self._known: Mapping[str, Profile] = {}
        self._readings = 0
        self._read_at: datetime | None = None
        self._stumbled = False
        self._failure: KeyturnError | None = None
        self._failed_at: datetime | None = None

    def find(
        self, profile_id: str, written_at: datetime | None = None, *, as_expected: Callable[[Profile], bool]
    ) -> Profile | None:
        """The profile, or `None` when there is none.

        One that is not as expected is looked up afresh, once a round: what changed after that is seen in the next one.
        But no list says anything of what was written after it was read, so for that it is read again.

        Args:
            profile_id: whose.
            written_at: when it was written last, as far as we know.
            as_expected: whether it is as we left it.

        Raises:
            KeyturnError: StackOne could not be asked, now or a short while ago.
        """
        found = self._listed(profile_id)
        if found is not None and as_expected(found):
            return found
        with self._lock:
            found = self._listed(profile_id)  # somebody else may have read the list meanwhile
            if self._may_be_read(written_at) and not (found is not None and as_expected(found)):
                self._read()
            return self._listed(profile_id)

    def _listed(self, profile_id: str) -> Profile | None:
        return self._known.get(profile_id)

    def _may_be_read(self, written_at: datetime | None) -> bool:
        if self._readings < _READINGS or self._read_at is None:
            return True
        return written_at is not None and written_at > self._read_at - _CLOCKS_DIFFER

    def _read(self) -> None:
        began = self._clock.now()
        if self._failure is not None and self._failed_at is not None and began < self._failed_at + _FAILED_FOR:
            raise self._failure
        try:
            self._known = {profile.id: profile for profile in self._hub.profiles(CONNECTOR)}
        except KeyturnError as error:
            self._keep(error, began)
            raise
        self._readings, self._read_at = self._readings + 1, began
        self._stumbled, self._failure = False, None

    def _keep(self, error: KeyturnError, began: datetime) -> None:
        now = self._clock.now()
        if self._stumbled or now - began >= QUICK:
            self._failure, self._failed_at = error, now
        self._stumbled = True
