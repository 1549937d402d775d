"""`make docs`: rewrite the documents, and parts of documents, that come from the code.

The tests compare them with `documents()`, and write nothing.
"""

# ruff: noqa: INP001  a script, not a package

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

from keyturn.settings import reference

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"
COMMANDS = """\
# Commands

<!-- Written by `make docs` from the code. -->

Exit codes: 0 fine, 1 a negative verdict or a refusal, 2 usage or configuration, 3 something remote is unavailable.

With `--json` a command prints JSON on standard output. If it fails, standard error has one JSON object with `error`,
`subject`, `problem` and `remedy`; only a mistake in the command line itself is told in words. Where it matters who
runs a command, it is whom Vault says they are: sign in with `vault login` first. No secret is ever an argument.

On a machine with `KEYTURN_CONSOLE__URL` and without `KEYTURN_LEDGER__URL` the console does what a command asks: `plan`,
`status`, `gates`, `verify`, `check`, `onboard`, `approve`, `reject`, `submit`, `reveal`, `link`, `abandon`, `rotate`,
and `evidence` of one attempt. It goes by its own manifests. Who has no Vault token there signs in at the console's
OpenID provider, in any browser; that token is kept in `~/.config/keyturn/token.json` until it ends. Other commands need
the ledger.

`plan`, `onboard`, `rotate` and `check` take several keys, paths, folders (with all below them) and patterns in quotes
such as `'fleet/*.yaml'` or `'acme/*'`, or `--all`. One failure stops no other, and the exit code is the lowest of all
that are not 0. Interrupted in whatever way, the same command goes on with what is left, and starts nothing twice;
`check` does so with `--newer-than`. A word that could be a key is one: a folder of that name is `./acme/production`.
"""


def documents() -> dict[Path, str]:
    """Each document that comes from the code, with the text it should have."""
    readme = ROOT / "README.md"
    return {readme: with_settings(readme.read_text(encoding="utf-8")), ROOT / "docs" / "cli.md": commands()}


def with_settings(readme: str) -> str:
    """README with the table of settings between its two markers."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{rest.partition(END)[2]}"


def commands() -> str:
    """The reference of all commands, by typer's own generator."""
    argv = [sys.executable, "-m", "typer", "keyturn.cli.app", "utils", "docs", "--name", "keyturn"]
    printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout  # noqa: S603  our own words
    body = html.unescape(printed).rstrip().partition("\n")[2]
    # In lists of commands typer cuts the help short; it stands in full below.
    return COMMANDS + re.sub(r"^\* `([a-z]+)`: .*$", r"* `\1`", body, flags=re.MULTILINE) + "\n"


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
