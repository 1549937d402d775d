"""The log of a served console."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import logging.config
from keyturn.console.serve import LOGGING
logging.config.dictConfig(LOGGING)
logging.getLogger("keyturn.console.webhooks").info("x hastens y")
logging.getLogger("httpx").info("HTTP Request")
"""


def test_what_keyturn_says_is_in_it() -> None:
    """Lines about webhooks are no warnings, and still somebody looks for them; of others' libraries only warnings."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stderr.endswith(" INFO keyturn.console.webhooks x hastens y\n")
    assert "HTTP Request" not in done.stderr
