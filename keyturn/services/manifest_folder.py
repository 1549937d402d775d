"""What the manifest files of a folder say, for whoever asks about many integrations, and asks no vendor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Manifest, SealedManifest
from keyturn.errors import ConfigurationError, ManifestError
from keyturn.services import logo, manifests
from keyturn.services.manifest_index import index_of, start_of
from keyturn.services.manifest_text import LARGEST_FILE

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
    """A folder's manifest files, for many integrations and threads: none is read again that nobody has touched.

    A folder or a file that is not there says nothing: not every worker has the manifests.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, key: IntegrationKey) -> Filed | None:
        """What the file about an integration says; `None` when there is none.

        Raises:
            ManifestError: it cannot be told which file is about it.
        """
        try:
            about = index_of(self._folder).about(key)
        except (ConfigurationError, OSError):
            return None
        if len(about.files) == 1:
            return _filed(about.files[0])
        if about.files:
            raise ManifestError(str(key), f"{len(about.files)} files in the folder are all about it", "Keep one.")
        if unread := [path.name for path in about.unread if _names(path, key)]:
            problem = f"{', '.join(unread)} in the folder cannot be read, and may be about it"
            raise ManifestError(str(key), problem, "Correct what `keyturn lint` names.")
        return None


def _names(path: Path, key: IntegrationKey) -> bool:
    content = start_of(path, LARGEST_FILE) or b""
    return all(word.encode() in content for word in (key.tenant, key.environment))


def _filed(path: Path) -> Filed:
    manifest = manifests.load(path).manifest
    if manifest is None:
        return Filed(None)
    image = start_of(path.parent / manifest.gong.logo, logo.LARGEST_FILE)
    return Filed(manifest, None if image is None else hashlib.sha256(image).hexdigest())
