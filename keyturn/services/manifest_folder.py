"""What the manifest files of a folder say, for whoever asks about many integrations, and asks no vendor."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Manifest, SealedManifest
from keyturn.errors import ConfigurationError, ManifestError
from keyturn.services import logo, manifests
from keyturn.services.manifest_claim import claimed
from keyturn.services.manifest_text import LARGEST_FILE, parse

Filing = Callable[[IntegrationKey], "Filed | None"]
"""What the file about an integration says, as `Folder` does."""


@dataclass(frozen=True, slots=True)
class Filed:
    """What a manifest file says, as far as that is known without asking StackOne.

    Attributes:
        manifest: `None` when the file has faults of text or shape.
        logo_sha256: of the image file; `None` when that is not at hand.
    """

    manifest: Manifest | None
    logo_sha256: str | None = None

    def says(self, sealed: SealedManifest) -> bool:
        """Whether sealing it would come to that, if StackOne's actions need the scopes that they needed then."""
        return self.manifest == sealed.manifest and self.logo_sha256 in (None, sealed.logo_sha256)


class Folder:
    """A folder's manifest files, read once for many integrations and threads.

    A folder or a file that is not there says nothing: not every worker has the manifests.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, key: IntegrationKey) -> Filed | None:
        """What the file about an integration says; `None` when there is none.

        Raises:
            ManifestError: it cannot be told which file is about it.
        """
        wanted = key.tenant, key.environment
        plain, rest = self._by_claim
        # Reading YAML takes its time, so of what is not plain only what has both words in it is read.
        unclear = [path for path, c in rest.items() if all(word.encode() in c for word in wanted)]
        texts = {path: parse(_start_of(path, LARGEST_FILE) or b"") for path in sorted([*plain.get(key, ()), *unclear])}
        about = [p for p, text in texts.items() if (text.data.get("tenant"), text.data.get("environment")) == wanted]
        if len(about) == 1:
            return _filed(about[0])
        if about:
            raise ManifestError(str(key), f"{len(about)} files in the folder are all about it", "Keep one.")
        if unread := [path.name for path, text in texts.items() if not text.data]:
            problem = f"{', '.join(unread)} in the folder cannot be read, and may be about it"
            raise ManifestError(str(key), problem, "Correct what `keyturn lint` names.")
        return None

    @cached_property
    def _by_claim(self) -> tuple[Mapping[IntegrationKey, list[Path]], Mapping[Path, bytes]]:
        """The files by what they are plainly about, and the content of all others."""
        plain: dict[IntegrationKey, list[Path]] = defaultdict(list)
        rest: dict[Path, bytes] = {}
        for path in self._paths():
            content = _start_of(path, LARGEST_FILE) or b""
            if key := claimed(content):
                plain[key].append(path)
            else:
                rest[path] = content
        return plain, rest

    def _paths(self) -> list[Path]:
        try:
            return manifests.every(self._folder)
        except (ConfigurationError, OSError):
            return []


def _filed(path: Path) -> Filed:
    manifest = manifests.load(path).manifest
    if manifest is None:
        return Filed(None)
    image = _start_of(path.parent / manifest.gong.logo, logo.LARGEST_FILE)
    return Filed(manifest, None if image is None else hashlib.sha256(image).hexdigest())


def _start_of(path: Path, most: int) -> bytes | None:
    """A file's content, or as much of it as shows that it is too large; `None` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError:
        return None
