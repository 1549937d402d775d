"""Compares the ledger with every other store, for every integration. A store that is away is unknown, never fine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from keyturn.domain.inconsistency import Compared, Inconsistency, Store
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.profile import Profile
from keyturn.errors import KeyturnError
from keyturn.ports import (
    Anchor,
    Clock,
    ConnectorHub,
    Ledger,
    LivingRun,
    PairVersions,
    RunList,
    Runs,
    SecretStore,
    Trail,
)
from keyturn.services.deep_check.in_prefect import InPrefect, Says, schedules
from keyturn.services.deep_check.in_stackone import InStackOne
from keyturn.services.deep_check.in_vault import InVault
from keyturn.services.deep_check.told import Told, told
from keyturn.services.trail import verify

T = TypeVar("T")
Asked = Callable[[], Iterable[Says]]
_LOOK_AGAIN_AFTER_S = 10.0  # a decision is resumed, and a receipt follows its effect, in less
_ANCHOR = (
    "If the ledger was restored, rows are lost for good: note which (`keyturn audit`), have an administrator "
    "delete Vault's head (`vault kv metadata delete keyturn/audit/head`), then keep the restored trail's: "
    "`keyturn audit verify --anchor`. If it was not restored, somebody changed the trail: compare it with backups."
)


@dataclass(frozen=True, slots=True)
class DeepCheck:
    """Everything that is compared.

    Attributes:
        anchor: where the trail's head is kept; asking for it may fail.
        filed: the integrations that have a manifest file, and the name of their profile: a ledger that went back may
            not know of them.
        mount: of Vault, for the commands that remedies name.
    """

    ledger: Ledger
    secrets: SecretStore
    versions: PairVersions
    runs: Runs
    run_list: RunList
    hub: ConnectorHub
    trail: Trail
    anchor: Callable[[], Anchor]
    clock: Clock
    filed: Mapping[IntegrationKey, str]
    mount: str = "keyturn"

    def compare(self) -> Compared:
        """Compare, read-only. What seems wrong is looked at again a little later, with everything read anew.

        The stores are read one after the other while runs go on, so one is always ahead of another for a moment.

        Raises:
            TransientError: the ledger is away, so there is nothing to compare with.
        """
        keys = sorted({*self.ledger.integrations(), *self.filed})
        first = self._looked(keys)
        if not first:
            return Compared(len(keys), ())
        self.clock.sleep(_LOOK_AGAIN_AFTER_S)
        said = {(one.key, one.store) for one in first}
        named = {one.key for one in first}
        again = self._looked(key for key in keys if str(key) in named)
        return Compared(len(keys), tuple(one for one in again if (one.key, one.store) in said or not one.known))

    def _looked(self, keys: Iterable[IntegrationKey]) -> list[Inconsistency]:
        once = Once(self.run_list, self.hub)
        found = [*self._about_none(once)]
        for key in keys:
            found += self._about(key, once)
        return found

    def _about_none(self, once: Once) -> Iterator[Inconsistency]:
        yield from _asked("", Store.LEDGER, self._trail)
        yield from _asked("", Store.PREFECT, lambda: schedules(once.run_list.schedules()))

    def _about(self, key: IntegrationKey, once: Once) -> Iterator[Inconsistency]:
        try:
            known = told(self.ledger, key, self.filed.get(key, ""), self.mount)
        except KeyturnError as error:
            yield _unknown(str(key), Store.LEDGER, error)
            return
        for store, compare in self._stores(known, once):
            yield from _asked(str(key), store, compare)

    def _stores(self, known: Told, once: Once) -> Iterator[tuple[Store, Asked]]:
        now = self.clock.now()
        yield Store.VAULT, InVault(known, self.secrets, self.versions, now).compare
        yield Store.PREFECT, partial(self._in_prefect, known, once)
        yield Store.STACKONE, lambda: InStackOne(known, self.hub, once.profiles(known)).compare()

    def _in_prefect(self, known: Told, once: Once) -> Sequence[Says]:
        return InPrefect(known, self.runs, once.living(known.key), self.clock.now()).compare()

    def _trail(self) -> Sequence[Says]:
        verified = verify(self.trail, self.anchor)
        if verified.inspection.fault:
            return [(f"the audit trail: {verified.inspection.fault.says}", _ANCHOR)]
        if verified.unknown:
            raise KeyturnError("audit trail", verified.unknown, "See `keyturn audit verify`.")
        return []


class Once:
    """Lists that are read once for all integrations; a failure is kept as well, so that a store is not asked on."""

    def __init__(self, run_list: RunList, hub: ConnectorHub) -> None:
        self.run_list = run_list
        self._hub = hub
        self._runs: Mapping[str, list[LivingRun]] | KeyturnError | None = None
        self._profiles: Mapping[str, list[Profile]] | KeyturnError | None = None

    def living(self, key: IntegrationKey) -> Sequence[LivingRun]:
        """Every run of an integration that has not ended."""
        if self._runs is None:
            self._runs = _kept(lambda: _by(self.run_list.living(), lambda run: {run.key}))
        return _or_raise(self._runs).get(str(key), [])

    def profiles(self, known: Told) -> Sequence[Profile]:
        """The profiles that have an integration's name, and the one that its receipts name."""
        if self._profiles is None:
            self._profiles = _kept(lambda: _by(self._hub.profiles(CONNECTOR), lambda p: {f"id {p.id}", p.name}))
        found = _or_raise(self._profiles)
        named, written = found.get(known.profile_name, []), found.get(f"id {known.profile_id}", [])
        return [*named, *(p for p in written if p not in named)]


def _kept(ask: Callable[[], T]) -> T | KeyturnError:
    try:
        return ask()
    except KeyturnError as error:
        return error


def _or_raise(kept: T | KeyturnError) -> T:
    if isinstance(kept, KeyturnError):
        raise kept
    return kept


def _by(listed: Iterable[T], names: Callable[[T], set[str]]) -> dict[str, list[T]]:
    """An index: a fleet has thousands, and each is looked up for each integration."""
    found: dict[str, list[T]] = {}
    for one in listed:
        for name in names(one):
            found.setdefault(name, []).append(one)
    return found


def _asked(key: str, store: Store, compare: Asked) -> Iterator[Inconsistency]:
    """What is found; if the store stops answering on the way, what came before is kept, and the rest is unknown."""
    try:
        for found, remedy in compare():
            yield Inconsistency(key, store, known=True, found=found, remedy=remedy)
    except KeyturnError as error:
        yield _unknown(key, store, error)


def _unknown(key: str, store: Store, error: KeyturnError) -> Inconsistency:
    found = f"not compared: {error.subject} {error.problem}"
    return Inconsistency(key, store, known=False, found=found, remedy=error.remedy or "Try again once it answers.")
