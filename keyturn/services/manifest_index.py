"""Which file of a folder is about which integration, known as long as the files stay as they are.

Whoever is asked for ten thousand integrations one after the other would otherwise read ten thousand files for each.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError
from keyturn.services.manifest_claim import claimed, claimed_in
from keyturn.services.manifest_text import LARGEST_FILE, parse

SUFFIXES = (".yaml", ".yml")
MOMENT_S = 2.0
"""So long a file that was edited in its place may go unnoticed, unless it is the one that is asked for."""

_FOLDERS = 8
_Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: _Stamp | None
    key: IntegrationKey | None
    is_read: bool


@dataclass(frozen=True, slots=True)
class About:
    """Files that are about an integration, and those that say nothing at all and may be; sorted."""

    files: tuple[Path, ...]
    unread: tuple[Path, ...]


class Index:
    """A folder's manifest files by what they are about. Thread-safe.

    Args:
        folder: whose.
        now: seconds on a clock that never goes back.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._now, self._lock = folder, now, Lock()
        self._seen: Mapping[Path, _Seen] = {}
        self._by_key: Mapping[IntegrationKey, list[Path]] = {}
        self._unread: tuple[Path, ...] = ()
        self._stamp: _Stamp | None = None
        self._looked_at = 0.0

    def about(self, key: IntegrationKey) -> About:
        """The files about an integration, as they are now.

        Raises:
            ConfigurationError: there is no such folder.
        """
        with self._lock:
            is_fresh = self._look_if_old()
            if not is_fresh and not self._is_plain(key):
                self._look()
            return About(tuple(self._by_key.get(key, ())), self._unread)

    def _is_plain(self, key: IntegrationKey) -> bool:
        """Whether there is one file about it, and nobody has touched that."""
        files = self._by_key.get(key, ())
        return len(files) == 1 and _stamp_of(files[0]) == self._seen[files[0]].stamp

    def _look_if_old(self) -> bool:
        """Whether it was time to look again: a file came or went, or it is a while ago."""
        is_old = self._now() >= self._looked_at + MOMENT_S or _stamp_of(self._folder) != self._stamp
        if is_old or self._stamp is None:
            self._look()
            return True
        return False

    def _look(self) -> None:
        began, stamp = self._now(), _stamp_of(self._folder)  # what comes meanwhile is seen next time
        self._seen = {path: self._seen_of(path) for path in every(self._folder)}
        by_key: dict[IntegrationKey, list[Path]] = defaultdict(list)
        for path, seen in self._seen.items():
            if seen.key is not None:
                by_key[seen.key].append(path)
        self._by_key = dict(by_key)
        self._unread = tuple(path for path, seen in self._seen.items() if not seen.is_read)
        self._looked_at, self._stamp = began, stamp

    def _seen_of(self, path: Path) -> _Seen:
        stamp, known = _stamp_of(path), self._seen.get(path)
        if known is not None and stamp is not None and known.stamp == stamp:
            return known
        content = start_of(path, LARGEST_FILE) or b""
        # Reading YAML takes its time, so what is plainly about an integration is not read.
        if (key := claimed(content)) is not None:
            return _Seen(stamp, key, is_read=True)
        data = parse(content).data
        return _Seen(stamp, claimed_in(data), is_read=bool(data))


@lru_cache(_FOLDERS)
def index_of(folder: Path) -> Index:
    """The process's index of a folder."""
    return Index(folder)


def every(folder: Path) -> list[Path]:
    """All manifest files of a folder, sorted.

    Raises:
        ConfigurationError: there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            str(folder), "is not a folder", "Set KEYTURN_MANIFESTS to the folder of the manifests."
        )
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())


def start_of(path: Path, most: int) -> bytes | None:
    """A file's content, or as much of it as shows that it is too large; `None` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError:
        return None


def _stamp_of(path: Path) -> _Stamp | None:
    """What changes with a file or a folder; `None` when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
