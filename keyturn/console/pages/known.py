"""From a path to the integration or attempt that it names, or to a page that says that there is none."""

from __future__ import annotations

from uuid import UUID

from keyturn.console.problems import NotFoundError
from keyturn.domain.attempt import Attempt
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError, ManifestError, RefusedError
from keyturn.services.manifest_folder import Folder
from keyturn.wiring import Ports

_FLEET = "Look for it in the fleet."


def known_key(ports: Ports, tenant: str, environment: str) -> IntegrationKey:
    """An integration that the ledger knows, or that there is a manifest of.

    Raises:
        NotFoundError: there is neither.
    """
    try:
        key = IntegrationKey(tenant, environment)
    except ConfigurationError:
        raise NotFoundError(f"{tenant}/{environment}", "is no integration's name", _FLEET) from None
    if ports.ledger.registered(key) is None and not _is_filed(ports, key):
        raise NotFoundError(str(key), "is not known here: nobody onboarded it, and no manifest is about it", _FLEET)
    return key


def known_attempt(ports: Ports, attempt_id: str) -> Attempt:
    """An attempt.

    Raises:
        NotFoundError: there is none with that id.
    """
    try:
        return ports.ledger.attempt(UUID(attempt_id))
    except (ValueError, RefusedError):
        raise NotFoundError("this attempt", "does not exist", _FLEET) from None


def _is_filed(ports: Ports, key: IntegrationKey) -> bool:
    """Whether a manifest is about it, a faulty one or one too many included: its page is where that is seen to."""
    try:
        return Folder(ports.settings.manifests)(key) is not None
    except ManifestError:
        return True
