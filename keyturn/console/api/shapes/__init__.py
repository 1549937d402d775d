"""What the API answers, as JSON, and commands print with `--json`.

Every moment is in ISO 8601 with its zone, every duration has its unit in its name, and nothing here holds a secret but
what says so.
"""
