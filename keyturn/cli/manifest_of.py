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


def named(text: str) -> IntegrationKey:
    """The same as `key_of`, by the process's settings."""
    from keyturn import wiring

    return key_of(wiring.ports().settings, text)


def sealed_of(ports: Ports, text: str) -> SealedManifest:
    """The sealed manifest that a text names.

    Raises:
        ManifestError: lint finds errors; all of them are named.
    """
    from keyturn.domain.manifest import CONNECTOR
    from keyturn.services import manifests

    return manifests.sealed_of(ports.settings.manifests, text, lambda: ports.hub.actions(CONNECTOR))
