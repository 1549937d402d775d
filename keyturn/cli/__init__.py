"""The command `keyturn`.

Exit codes: 0 fine, 1 a negative verdict or a refusal, 2 usage or configuration, 3 something remote is unavailable.
Nothing slow is imported before a command runs, so that `--help` answers at once.
"""

from keyturn.cli.app import main

__all__ = ["main"]
