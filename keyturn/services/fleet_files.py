"""What a command's words mean, when they mean many: keys, paths of manifests, folders, and patterns of either.

Only as much of a file is read here as tells which integration it is about. Whoever acts on it reads all of it, once.
"""

from __future__ import annotations

import glob
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError, ManifestError
from keyturn.services import manifests
from keyturn.services.manifest_claim import claimed, claimed_in
from keyturn.services.manifest_text import LARGEST_FILE, parse

Known = Callable[[], Sequence[IntegrationKey]]
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Meant:
    """One integration that is meant.

    Attributes:
        word: its key, or the path of its manifest.
        key: `None` when the file does not say.
        fault: why it cannot be told what is meant.
    """

    word: str
    key: IntegrationKey | None
    fault: ConfigurationError | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.key) if self.key else self.word


@dataclass(frozen=True)
class Wanted:
    """The words of a command.

    Args:
        words: as they were typed.
        known: the integrations that a pattern of keys is about; asked only for such a pattern.
    """

    words: Sequence[str]
    known: Known

    @property
    def is_one(self) -> bool:
        """Whether they name one integration, by its key or by its file."""
        return len(self.words) == 1 and not _is_pattern(self.words[0]) and not is_folder(self.words[0])

    @cached_property
    def meant(self) -> list[Meant]:
        """Each integration once, in the order of the words. Files that are about the same one are faulty, all of them.

        Raises:
            ConfigurationError: a word is no key, a pattern meets nothing, or a folder holds no manifest.
        """
        return without_twins(one for word in self.words for one in self._of(word))

    def _of(self, word: str) -> list[Meant]:
        if is_folder(word):
            return of_files(_inside(word, Path(word)))
        if _is_pattern(word):
            return self._matching(word)
        if word.endswith(SUFFIXES):
            return of_files([Path(word)])
        return [Meant(word, IntegrationKey.parse(word))]

    def _matching(self, pattern: str) -> list[Meant]:
        """Files if there are any; otherwise keys."""
        found = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207  a pattern may begin at the root
        files = [path for path in found if path.is_file() and path.suffix in SUFFIXES]
        files += [inside for path in found if path.is_dir() and path not in files for inside in _below(path)]
        if files:
            return of_files(sorted({*files}))
        keys = [key for key in self.known() if fnmatchcase(str(key), pattern)]
        if not keys:
            remedy = "Give a pattern of files, or of keys as in 'acme/*'."
            raise ConfigurationError(pattern, "is met by no manifest and by no integration", remedy)
        return [Meant(str(key), key) for key in keys]


def is_folder(word: str) -> bool:
    """Whether a folder is meant. What could be a key is one: `./acme/production` and `acme/production/` are folders."""
    try:
        IntegrationKey.parse(word)
    except ConfigurationError:
        return Path(word).is_dir()
    return False


def of_folder(folder: Path) -> list[Meant]:
    """What the manifests of the settings' folder are about; as everywhere, folders inside it do not count.

    Raises:
        ConfigurationError: there is no such folder, or no manifest in it.
    """
    paths = manifests.every(folder)
    if not paths:
        raise ConfigurationError(str(folder), "holds no manifest", "Write one; its name ends in .yaml.")
    return without_twins(of_files(paths))


def of_files(paths: Iterable[Path]) -> list[Meant]:
    """What these files are about, as far as a look at them tells."""
    return [Meant(str(path), _key_of(path)) for path in paths]


def without_twins(meant: Iterable[Meant]) -> list[Meant]:
    """Each integration once. Of several files about the same one nobody knows which counts, so none does."""
    named: dict[object, dict[str, Meant]] = defaultdict(dict)
    for one in meant:
        named[one.key or one.word][_place(one)] = one
    return [once for group in named.values() for once in _once(list(group.values()))]


def _once(group: list[Meant]) -> list[Meant]:
    files = [one for one in group if one.word.endswith(SUFFIXES)]
    if len(files) <= 1:
        return (files or group)[:1]
    problem = f"{' and '.join(_told_apart(files))} are all about it"
    fault = ManifestError(files[0].name, problem, "Keep one of them.")
    return [replace(one, fault=fault) for one in files]


def _told_apart(files: list[Meant]) -> list[str]:
    """Their names, if that tells them apart: whoever asks a console is not to know where things lie on its machine."""
    names = [Path(one.word).name for one in files]
    return names if len({*names}) == len(names) else [one.word for one in files]


def _place(one: Meant) -> str:
    return str(Path(one.word).resolve()) if one.word.endswith(SUFFIXES) else one.word


def _inside(word: str, folder: Path) -> list[Path]:
    found = sorted(_below(folder))
    if not found:
        raise ConfigurationError(word, "holds no manifest", "A manifest's name ends in .yaml.")
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Files of that kind, those in hidden folders left out."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path


def _is_pattern(word: str) -> bool:
    return glob.has_magic(word)


def _key_of(path: Path) -> IntegrationKey | None:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError:
        return None  # whoever reads it says why
    return claimed(content) or claimed_in(parse(content).data)
