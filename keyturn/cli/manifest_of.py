"""From what a person types to a key, and to a sealed manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyturn.domain.integration import IntegrationKey
    from keyturn.domain.manifest import SealedManifest
    from keyturn.settings import Settings
    from keyturn.wiring import Ports


def key_of(settings: Settings, text: str) -> IntegrationKey:
    """The key that a text names, by itself or by a manifest's path.

    Raises:
        ConfigurationError: it is neither.
    """
    from keyturn.domain.integration import IntegrationKey
    from keyturn.errors import ManifestError
    from keyturn.services import manifests

    if not text.endswith((".yaml", ".yml")):
        return IntegrationKey.parse(text)
    loaded = manifests.load(manifests.find(settings.manifests, text))
    if loaded.manifest is None:
        raise ManifestError(text, "is not a valid manifest", "Run `keyturn lint` for every fault in it.")
    return loaded.manifest.key


def sealed_of(ports: Ports, text: str) -> SealedManifest:
    """The sealed manifest that a text names.

    StackOne is asked for its actions only if the manifest derives scopes from them.

    Raises:
        ManifestError: lint finds errors; all of them are named.
    """
    from keyturn.domain.manifest import CONNECTOR
    from keyturn.services import manifests

    loaded = manifests.load(manifests.find(ports.settings.manifests, text))
    wanted = loaded.manifest.stackone.actions if loaded.manifest else ()
    actions = ports.hub.actions(CONNECTOR) if wanted else ()
    return manifests.seal(loaded, actions)
