"""The worker's own settings."""

from __future__ import annotations

import os

from keyturn import settings
from keyturn.settings import WorkerSettings


def own_settings() -> WorkerSettings:
    """The worker's own; what else is wrong with keyturn's settings is for the runs to say, each in its log."""
    own = ("KEYTURN_WORKER__", "KEYTURN_CONFIG")
    return settings.load({name: value for name, value in os.environ.items() if name.startswith(own)}).worker
