"""`keyturn notify`: by which channels people are told, and whether that works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from keyturn.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyturn.ports import Channel

app = typer.Typer(help="By which channels people are told, and trying them.", no_args_is_help=True)


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the channels: their names, and what they are told. Their URLs are secret and stay in Vault."""
    from keyturn import wiring
    from keyturn.cli import showing

    channels = wiring.ports().channels.channels()
    if as_json:
        showing.as_json([{"name": c.name, "at_least": c.at_least, "events": list(c.events)} for c in channels])
        return
    rows = [(showing.plain(c.name), c.at_least.value, showing.plain(", ".join(c.events))) for c in channels]
    showing.table(("channel", "at least", "events"), rows)


@app.command("test")
def try_out(
    *,
    channel: Annotated[str, typer.Option("--channel", help="One channel, by its name; without it: all.")] = "",
    as_json: AsJson = False,
) -> None:
    """Send a test notice, and say of each channel whether it took it. Exit 1 if one did not, or there is none."""
    from keyturn import wiring
    from keyturn.services import notify

    ports = wiring.ports()
    known = ports.channels.channels()
    link = str(ports.settings.notify_link or "")
    answers = notify.send_test(notify.named(known, channel) if channel else known, ports.notifier, link)
    _show(known, answers, as_json=as_json)
    raise typer.Exit(1 if not answers or any(answers.values()) else 0)


def _show(known: Sequence[Channel], answers: Mapping[str, str], *, as_json: bool) -> None:
    from keyturn.cli import showing

    if as_json:
        showing.as_json([{"name": name, "taken": not problem, "problem": problem} for name, problem in answers.items()])
    elif known:
        taken = [
            (showing.plain(name), showing.plain(problem) or "[green]taken[/]") for name, problem in answers.items()
        ]
        showing.table(("channel", "test"), taken)
    else:
        typer.echo("No channels are configured; deployments/vault/README.md says how.", err=True)
