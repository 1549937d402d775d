"""Where the random rotations begin."""

from __future__ import annotations

import os

# Always the same one, so that a failure is the change's own; `make soak` takes a new one each time.
SEED = int(os.environ.get("KEYTURN_MACHINE_SEED") or 410)
