"""Looks at an integration from every side, says what that means, and keeps it. Read-only: it repairs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keyturn.domain.diagnosis import Circumstances, diagnose, undecided
from keyturn.domain.health import Drift, Observation, Outcome, Subject, Transition
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import KeyturnError
from keyturn.ports import Clock, ConnectorHub, Ledger, Observatory, SecretStore, TokenEndpoint
from keyturn.services.looking import Look, Scene, scene
from keyturn.services.manifest_folder import Filing
from keyturn.services.many import each
from keyturn.services.profile_list import Profiles


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check came to.

    Attributes:
        onboarded: whether there was anything to look at.
        drifts: what is not as it should be, seen this time; whether it counts yet, `transitions` and the health say.
        transitions: what was raised or cleared by this check.
        problem: why the check itself could not be done or kept; empty when it was.
    """

    key: IntegrationKey
    onboarded: bool = True
    observations: Sequence[Observation] = ()
    drifts: Sequence[Drift] = ()
    transitions: Sequence[Transition] = ()
    problem: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether something is not as it should be."""
        return bool(self.drifts) or any(o.outcome is Outcome.BAD for o in self.observations)

    @property
    def is_unknown(self) -> bool:
        """Whether something could not be told."""
        return bool(self.problem) or any(o.outcome is Outcome.UNKNOWN for o in self.observations)


@dataclass(frozen=True, slots=True)
class Checking:
    """Checks integrations, one or many at once, within the vendors' budgets.

    Attributes:
        filed: what the manifest file about an integration says.
    """

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint
    hub: ConnectorHub
    observatory: Observatory
    clock: Clock
    filed: Filing

    def look(self, key: IntegrationKey) -> list[Observation]:
        """Look at each subject by itself; none when the integration was never onboarded."""
        stage = scene(self.ledger, key)
        return self._look(stage, Profiles(self.hub, self.clock)) if stage else []

    def check(self, key: IntegrationKey) -> Checked:
        """Look, say what it means, and keep it.

        Raises:
            TransientError: the ledger is away, so there is nothing to look at, or nothing was kept.
        """
        return self._check(key, Profiles(self.hub, self.clock))

    def check_many(
        self,
        keys: Sequence[IntegrationKey],
        threads: int,
        on_done: Callable[[Checked], None] = lambda _checked: None,
        profiles: Profiles | None = None,
    ) -> list[Checked]:
        """Check many at once. One that cannot be checked says so and stops no other.

        Args:
            keys: which.
            threads: how many at once.
            on_done: told of each as it is done, in the calling thread.
            profiles: their list, for whoever checks a part of a round only.

        Returns:
            One for each key, in the order of the keys.

        Raises:
            KeyboardInterrupt: as `keyturn.services.many.each` raises it; what was looked at is kept.
        """
        shared = profiles or Profiles(self.hub, self.clock)  # the list of all profiles is read once for all
        done: dict[IntegrationKey, Checked] = {}

        def tell(key: IntegrationKey, checked: Checked) -> None:
            done[key] = checked
            on_done(checked)

        each(keys, lambda key: self._check_or_say_why(key, shared), threads, tell)
        return [done[key] for key in keys]

    def _check_or_say_why(self, key: IntegrationKey, profiles: Profiles) -> Checked:
        try:
            return self._check(key, profiles)
        except KeyturnError as error:
            return Checked(key, problem=str(error))

    def _check(self, key: IntegrationKey, profiles: Profiles) -> Checked:
        seen = scene(self.ledger, key)
        if seen is None:
            return Checked(key, onboarded=False)
        observations = self._look(seen, profiles)
        drifts = diagnose(observations, self._circumstances(seen, observations))
        transitions = self.observatory.observe(key, observations, drifts, undecided(observations))
        return Checked(key, True, observations, drifts, transitions)

    def _look(self, seen: Scene, profiles: Profiles) -> list[Observation]:
        return Look(self.ledger, self.secrets, self.gong, self.hub, profiles, self.filed, self.clock).at(seen)

    def _circumstances(self, seen: Scene, observations: Sequence[Observation]) -> Circumstances:
        refused = any(o.subject is Subject.PAIR and o.outcome is Outcome.BAD for o in observations)
        fine_at = self.observatory.last_fine(seen.key, Subject.PAIR) if refused else None
        turning = seen.rotation is not None
        return Circumstances(str(seen.key), self.clock.now(), fine_at, refused and self._waits(seen.key), turning)

    def _waits(self, key: IntegrationKey) -> bool:
        """Whether a secret lies in Vault that was handed in and never put to use."""
        try:
            return self.secrets.pointer(key).pending is not None
        except KeyturnError:
            return False
