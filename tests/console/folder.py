"""A folder of manifests beside a world."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from keyturn.domain.manifest import SealedManifest
from keyturn.services import manifests

_LOGO = Path(__file__).parents[2] / "integrations" / "logos" / "acme.png"


def filed(folder: Path, sealed: SealedManifest, name: str = "ours.yaml") -> SealedManifest:
    """Write a manifest with its logo into the folder; gives it as it is sealed from there."""
    shutil.copy(_LOGO, folder / sealed.manifest.gong.logo)
    body = sealed.manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
    (folder / name).write_text(json.dumps(body))
    return manifests.seal(manifests.load(folder / name), ())
