"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

Key = Annotated[str, typer.Argument(metavar="KEY", help="tenant/environment, or the path of a manifest.")]
Keys = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY", help="Keys, paths of manifests, folders of them, or patterns in quotes."),
]
AtOnce = Annotated[
    int | None, typer.Option("--at-once", min=1, max=64, help="Of several, how many at a time.", show_default="8")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Note = Annotated[str, typer.Option("--note", help="A note for the audit trail.")]


AT_ONCE = 8
"""How many integrations a command over several has in hand at a time: vendors' budgets slow it down, not this."""


class KeyOrCommand(TyperGroup):
    """A group whose first command may be left out: `keyturn rotate KEY` beside `keyturn rotate rollback KEY`.

    A key has a slash in it and a manifest a suffix, so neither is ever the name of a command. A group that does not
    answer nothing by help takes that for its first command, too: `keyturn audit`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  typer keeps its context class private
        """Put the first command's name in front of what is not a command itself."""
        bare = not args and not self.no_args_is_help
        if bare or (args and args[0] not in (*self.commands, *ctx.help_option_names)):
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)
