"""`keyturn onboard` and `keyturn plan` for many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from keyturn.cli import showing
from keyturn.cli.fleet import choosing, summary
from keyturn.cli.fleet.round import BAD, Account, Outcome, Round, What
from keyturn.services.fleet_files import Meant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn.cli.away import Away
    from keyturn.console.api.desk import Desk
    from keyturn.console.api.shapes.kits import KitFiles


def onboard(
    desk: Desk | Away, words: Sequence[str] | None, at_once: int, *, everything: bool, restart: bool, as_json: bool
) -> NoReturn:
    """Onboard each, but for those whose onboarding by the same manifest was completed."""

    def act(one: Meant) -> Outcome:
        begun = desk.onboard(one.word, restart=restart, unless_done=True)
        body = {
            "attempt": str(begun.attempt),
            "digest": begun.digest,
            "flow_run": begun.flow_run and str(begun.flow_run),
        }
        if begun.created:
            return Outcome(What.STARTED, body=body)
        if begun.state is not None and begun.state.value != "active":
            return Outcome(What.DONE, "by this very manifest", body=body)
        return Outcome(What.UNDER_WAY, _how(changed=begun.changed, anew=begun.run_started), body=body)

    meant = choosing.by_manifest(desk, words, "onboard", everything=everything)
    summary.tell(Round("onboard", at_once, quiet=as_json).go(meant, act), as_json=as_json)


def plan(
    desk: Desk | Away,
    words: Sequence[str] | None,
    at_once: int,
    write: Callable[[str, KitFiles], None] | None,
    *,
    everything: bool,
    as_json: bool,
) -> NoReturn:
    """Say of each what exists and what would change; the kit of each is shown by `keyturn plan` of that one.

    Args:
        desk: who knows.
        words: which.
        at_once: how many at a time.
        write: keeps the files of a kit in a folder of that name.
        everything: all manifests.
        as_json: for programs.
    """

    def act(one: Meant) -> Outcome:
        made = desk.plan(one.word, files=write is not None)
        if write is not None and made.files is not None:
            write(_folder_of(one), made.files)
        said = made.model_dump(exclude={"files", "kit", "key"})
        return Outcome(What.PLANNED, "; ".join(made.differences), body=said)

    meant = choosing.by_manifest(desk, words, "plan", everything=everything)
    account = Round("plan", at_once, quiet=as_json).go(meant, act)
    if not as_json:
        _show_plans(account)
    summary.tell(account, as_json=as_json)


def _folder_of(one: Meant) -> str:
    """Where the kit of one of many is written: two words with a hyphen could be those of another integration."""
    return str(one.key) if one.key else Path(one.word).stem


def _show_plans(account: Account) -> None:
    rows = [
        (showing.plain(one.name), str(outcome.body["digest"])[:12], _found(outcome), showing.plain(outcome.says))
        for one, outcome in account.of
        if outcome.what not in (*BAD, What.LEFT)
    ]
    showing.table(("integration", "digest", "what is there", "difference to the registered manifest"), rows)


def _found(outcome: Outcome) -> str:
    """What the ledger says, and how much could not be looked up."""
    facts = outcome.body["found"]
    unknown = sum(not fact["known"] for fact in facts)
    ledger = next((str(fact["says"]) for fact in facts if fact["about"] == "ledger" and fact["known"]), "")
    return showing.plain(ledger.partition(",")[0]) + (f" [yellow]({unknown} unknown)[/]" if unknown else "")


def _how(*, changed: bool, anew: bool) -> str:
    if changed:
        return "has a new manifest; its approval is asked for again"
    return "its last run was over; a new one goes on from the receipts" if anew else ""
