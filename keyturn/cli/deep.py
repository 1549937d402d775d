"""What `keyturn doctor --deep` compares, and how it is shown."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn.domain.checkup import Check
    from keyturn.domain.inconsistency import Compared, Inconsistency
    from keyturn.domain.integration import IntegrationKey
    from keyturn.wiring import Ports


def compared(ports: Ports) -> Compared:
    """Compare all stores. What keeps that from being done at all is unknown, and said like everything else."""
    from keyturn.domain.inconsistency import Compared, Inconsistency, Store
    from keyturn.errors import KeyturnError

    try:
        return _compared(ports)
    except KeyturnError as error:
        why = f"nothing was compared: {error.subject} {error.problem}"
        return Compared(0, (Inconsistency("", Store.LEDGER, known=False, found=why, remedy=error.remedy),))


def checks(seen: Compared) -> list[Check]:
    """The same as lines of the doctor: one for each thing found, or one that says that there is none."""
    from keyturn.domain.checkup import Check

    if not seen.found:
        fine = f"ledger, Vault, Prefect and StackOne say the same of {seen.integrations} integrations"
        return [Check("stores", ok=True, found=fine)]
    return [
        Check(_name(one), ok=False if one.known else None, found=one.found, remedy=one.remedy) for one in seen.found
    ]


def as_plain(seen: Compared) -> dict[str, Any]:
    """The same for programs."""
    return {"integrations": seen.integrations, "found": [asdict(one) for one in seen.found]}


def _compared(ports: Ports) -> Compared:
    from keyturn import wiring
    from keyturn.clients.orchestrator import PrefectRunList
    from keyturn.clients.vault.session import VaultSession
    from keyturn.clients.vault.store import VaultSecretStore
    from keyturn.services.deep_check.everything import DeepCheck

    at_hand = (ports.settings, os.environ, Path.home())
    return DeepCheck(
        ledger=ports.ledger,
        secrets=ports.secrets,
        versions=VaultSecretStore(VaultSession(ports.settings.vault), ports.settings.vault),
        runs=ports.runs,
        run_list=PrefectRunList(),
        hub=ports.hub,
        trail=ports.trail,
        anchor=lambda: wiring.anchor_at_hand(*at_hand),
        clock=ports.clock,
        filed=_filed(ports),
        mount=ports.settings.vault.mount,
    ).compare()


def _filed(ports: Ports) -> Mapping[IntegrationKey, str]:
    """The integrations that have a file that can be read; `keyturn lint` is about the others."""
    from keyturn.services import manifests

    known = (manifests.load(path).manifest for path in manifests.every(ports.settings.manifests))
    return {manifest.key: manifest.profile_name for manifest in known if manifest is not None}


def _name(one: Inconsistency) -> str:
    return f"{one.key}: {one.store}" if one.key else f"stores: {one.store}"
