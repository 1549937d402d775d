"""What is written in `deployments`, read for the tests of its shape."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import get_current_settings
from prefect.settings.models.root import Settings as PrefectSettings
from prefect_redis.cleanup_queue import RedisWorkerCleanupQueueSettings
from prefect_redis.client import RedisMessagingSettings
from prefect_redis.messaging import RedisMessagingConsumerSettings, RedisMessagingPublisherSettings
from pydantic import BaseModel
from ruamel.yaml import YAML

from keyturn import settings

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = ROOT / "deployments"
_ELSEWHERE = {"PREFECT_SERVER_ENCRYPTION_KEY"}  # which Prefect reads without it being a setting
_REDIS = {
    "PREFECT_REDIS_MESSAGING_": RedisMessagingSettings,
    "PREFECT_REDIS_MESSAGING_PUBLISHER_": RedisMessagingPublisherSettings,
    "PREFECT_REDIS_MESSAGING_CONSUMER_": RedisMessagingConsumerSettings,
    "PREFECT_REDIS_WORKER_CLEANUP_QUEUE_": RedisWorkerCleanupQueueSettings,
}


def read_yaml(path: Path) -> list[Any]:
    """All documents of a file, with anchors and merges resolved."""
    return [document for document in YAML(typ="safe").load_all(path.read_text(encoding="utf-8")) if document]


def strangers(names: set[str]) -> set[str]:
    """Those variables of keyturn's, Prefect's and prefect-redis' that name no setting."""
    ours = {name for name in names if name.startswith(("KEYTURN_", "PREFECT_"))}
    return ours - _known()


def program(name: str) -> str:
    """Where a program of Debian's is; it is a failure if it is missing, for nothing would be looked at then."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"{name} is missing: `make debian` installs it, as root")
    return found


def executable(file: Path, text: str) -> None:
    """Write a program of that shell text, to stand in for one that a script calls."""
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@cache
def _known() -> set[str]:
    ours = set(re.findall(r"`(KEYTURN_\w+)`", settings.reference()))
    prefect = set(get_current_settings().to_environment_variables(exclude_unset=False)) | _all(PrefectSettings)
    redis = {prefix + name.upper() for prefix, model in _REDIS.items() for name in model.model_fields}
    return ours | prefect | redis | _ELSEWHERE


def _all(model: type[BaseModel], above: str = "PREFECT_") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= _all(kind, f"{above}{name.upper()}_")
        else:
            found |= {f"{above}{name.upper()}"} | _aliases(field.validation_alias)
    return found


def _aliases(alias: Any) -> set[str]:
    return {choice.upper() for choice in getattr(alias, "choices", ()) if isinstance(choice, str)}
