"""All commands together, and what happens when one fails."""

from __future__ import annotations

import json
import sys

import typer

from keyturn.cli import checking, consoling, database, evidence, local, looking, notifying, people, rotating, running
from keyturn.errors import KeyturnError

app = typer.Typer(
    name="keyturn",
    help="Take a Gong OAuth integration from nothing to a tested StackOne connection.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and those can hold a secret
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (local, looking, checking, running, people):
    module.add_to(app)
app.add_typer(rotating.app, name="rotate")
app.add_typer(evidence.audit, name="audit")
app.add_typer(evidence.app, name="evidence")
app.add_typer(consoling.app, name="console")
app.add_typer(database.app, name="db")
app.add_typer(notifying.app, name="notify")


def main() -> None:
    """Run the command line, and turn every failure into a sentence and an exit code."""
    try:
        app()
    except KeyturnError as error:
        _report(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)


def _report(error: KeyturnError) -> None:
    """Say on standard error what happened; as JSON if the command was asked for JSON."""
    if "--json" in sys.argv:
        body = {
            "error": type(error).__name__,
            "subject": error.subject,
            "problem": error.problem,
            "remedy": error.remedy,
        }
        typer.echo(json.dumps(body), err=True)
        return
    typer.secho(f"{error.subject}: {error.problem}", err=True, fg=typer.colors.RED)
    if error.remedy:
        typer.echo(f"→ {error.remedy}", err=True)
