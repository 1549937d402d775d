"""Which file is about which integration: read once, and never believed when somebody has touched it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError, ManifestError
from keyturn.services import manifest_index, manifests
from keyturn.services.manifest_folder import Folder
from keyturn.services.manifest_index import MOMENT_S, Index

COUNT = 300


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The present, in seconds."""
        return self.now


def key(n: int | str) -> IntegrationKey:
    """One of the fleet."""
    return IntegrationKey(f"tenant-{n}", "production")


def write(path: Path, n: int | str) -> Path:
    """A manifest, as far as it says what it is about."""
    path.write_text(f"tenant: tenant-{n}\nenvironment: production\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fleet's manifests."""
    for n in range(COUNT):
        write(tmp_path / f"{n:03}.yaml", n)
    return tmp_path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The files that were read. Patched, because nothing else tells a reading from a look at the file's date."""
    found: list[Path] = []
    really = manifest_index.start_of

    def start_of(path: Path, most: int) -> bytes | None:
        found.append(path)
        return really(path, most)

    monkeypatch.setattr(manifest_index, "start_of", start_of)
    manifest_index.index_of.cache_clear()
    yield found
    manifest_index.index_of.cache_clear()


@pytest.mark.parametrize(
    "ask", [lambda folder, one: manifests.find(folder, str(one)), lambda folder, one: Folder(folder)(one)]
)
def test_each_file_is_read_once(folder: Path, reads: list[Path], ask: Callable[[Path, IntegrationKey], object]) -> None:
    """Whoever asks for all of a fleet, one after the other, has each file read once and not once for each."""
    for n in range(COUNT):
        ask(folder, key(n))
    looked = [path for path in reads if path.suffix == ".yaml"]
    assert len(looked) == COUNT


def test_only_what_was_touched_is_read_again(folder: Path, reads: list[Path]) -> None:
    """A file that came, one that was edited, one that went: each is seen at once, and no other is read."""
    index = Index(folder, Seconds())
    assert index.about(key(1)).files == (folder / "001.yaml",)
    reads.clear()
    added = write(folder / "new.yml", "new")
    assert index.about(key("new")).files == (added,)
    write(folder / "001.yaml", "other")
    assert index.about(key(1)).files == ()
    assert index.about(key("other")).files == (folder / "001.yaml",)
    (folder / "002.yaml").unlink()
    assert index.about(key(2)).files == ()
    assert reads == [added, folder / "001.yaml"]


def test_an_edit_that_changes_neither_length_nor_date(folder: Path) -> None:
    """Whatever tool puts the old date back: the file that is asked for is not believed."""
    index, path = Index(folder, Seconds()), folder / "100.yaml"
    assert index.about(key(100)).files == (path,)
    dated = path.stat()
    write(path, 999)
    os.utime(path, ns=(dated.st_atime_ns, dated.st_mtime_ns))
    assert index.about(key(100)).files == ()
    assert index.about(key(999)).files == (path,)


def test_a_file_that_became_a_twin(folder: Path) -> None:
    """Edited in its place, another file says the same: after a moment neither is used, and both are named."""
    now = Seconds()
    index = Index(folder, now)
    assert len(index.about(key(1)).files) == 1
    write(folder / "002.yaml", 1)
    now.now += MOMENT_S
    assert index.about(key(1)).files == (folder / "001.yaml", folder / "002.yaml")
    with pytest.raises(ManifestError, match=r"001\.yaml, 002\.yaml in .* are all about it"):
        manifests.find(folder, str(key(1)))


def test_a_folder_that_went_and_came(folder: Path) -> None:
    """Nothing is remembered of a folder that is not there."""
    index, elsewhere = Index(folder, Seconds()), folder.parent / f"{folder.name}-elsewhere"
    assert index.about(key(1)).files
    folder.rename(elsewhere)
    with pytest.raises(ConfigurationError, match="is not a folder"):
        index.about(key(1))
    elsewhere.rename(folder)
    assert index.about(key(1)).files


def test_many_threads(folder: Path, reads: list[Path]) -> None:
    """They read each file once between them."""
    index = Index(folder)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: index.about(key(n)).files, range(COUNT)))
    assert found == [(folder / f"{n:03}.yaml",) for n in range(COUNT)]
    assert len(reads) == COUNT
