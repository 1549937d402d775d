"""`keyturn rotate`, and what people say while a secret turns. Without a Prefect, what they say is kept all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from keyturn import settings
from keyturn.domain.attempt import AttemptKind, Halt, Stage, Terms, Wish
from keyturn.domain.gate import GateKind
from keyturn.domain.manifest import Day
from keyturn.domain.rotation import RotationState
from keyturn.errors import StageFailedError
from keyturn.sandbox.vault_setup import PEOPLE
from tests.fakes.runs import FakeRuns
from tests.services.rotation.test_preflight import onboarded
from tests.services.rotation.turned import Turned
from tests.services.search import found, kept
from tests.services.twins import Twins
from tests.services.world import World


@pytest.fixture
def office(office: Any) -> Any:
    """People whose StackOne can be written by API, and whose time can be moved."""
    clock = office.command.folder / "clock.json"
    command = office.command.having(KEYTURN_STACKONE__PROFILE_WRITER="auto", KEYTURN_SANDBOX_CLOCK=str(clock))
    office.ports.settings = settings.load(command.environment)  # before anything is made from them
    return replace(office, command=command)


@pytest.fixture
def world(office: Any) -> Iterator[World]:
    """What the runs of their integration do between two commands. Its secrets are in the ledger nowhere."""
    bao, twins = office.servers.openbao, office.servers.twins
    with httpx.Client() as control:
        made = World(
            ports=office.ports,
            runs=FakeRuns(),
            clock=office.ports.clock,
            key=office.key,
            openbao=bao,
            tokens={name: bao.login(name) for name in PEOPLE},
            twins=Twins(twins.gong, twins.stackone, control, office.gong, office.stackone),
        )
        yield made
    assert found(made.secrets, [*made.heard, *kept(office.ports.settings.require_ledger_url())]) == []


@pytest.fixture
def turned(world: World) -> Turned:
    """An onboarded integration, ready for its secret to be turned."""
    return onboarded(world)


def later(office: Any, **duration: float) -> None:
    """Let time pass for keyturn."""
    offset = {"offset_seconds": timedelta(**duration).total_seconds()}
    (office.command.folder / "clock.json").write_text(json.dumps(offset))


def nothing_begun(world: World) -> bool:
    """Whether there is no attempt but the onboarding."""
    return [a.kind for a in world.ports.ledger.attempts(world.key)] == [AttemptKind.ONBOARDING]


# --- beginning


def test_a_dry_run_shows_the_steps(office: Any, turned: Turned) -> None:
    """For people and as JSON: nobody has to be signed in, and a compromised secret is not asked about yet."""
    key = str(office.key)
    shown = office.command.having(COLUMNS="200")("rotate", key, "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    steps = ("1. look at everything", "ask 1 of approver to approve", "a grace of 168 hours", "put the older secret")
    assert [words for words in steps if words not in shown.stdout] == []
    told = office.command.json("rotate", key, "--dry-run", "--compromised")
    assert (told["key"], told["digest"]) == (key, turned.attempt.digest)
    assert "ask nobody: the secret is compromised" in told["steps"]
    assert [words in str(told["steps"]) for words in ("a grace of 0 hours", "there is no way back")] == [True, True]
    assert nothing_begun(turned.world)


def test_what_was_never_onboarded(office: Any) -> None:
    """Exit 1, and what to do first."""
    failure = office.command.json("rotate", "nobody/production", "--dry-run", code=1)
    assert (failure["error"], "keyturn onboard" in failure["remedy"]) == ("RefusedError", True)


def test_a_closed_window(office: Any, world: World) -> None:
    """Exit 1 with the moment when it opens; with `--ignore-window` it begins, and the trail says who did that."""
    day = list(Day)[(world.clock.now() + timedelta(days=3)).weekday()].value
    turned = onboarded(world, window={"days": [day], "from": "09:00", "until": "16:00", "timezone": "UTC"})
    alice, key = office.as_("alice"), str(office.key)
    refused = alice.json("rotate", key, code=1)
    assert "its rotation window is closed; it opens at " in refused["problem"]
    assert "--ignore-window" in refused["remedy"]
    assert "the window is closed" in office.command.json("rotate", key, "--dry-run")["steps"][0]
    assert nothing_begun(world)
    # there is no Prefect; the attempt is kept all the same, and the watch starts its run
    assert alice.json("rotate", key, "--ignore-window", code=3)["error"] == "UnavailableError"
    assert turned.attempt.terms == Terms(ignore_window=True)
    audited = [entry.detail for entry in world.trail if "'ignore_window': True" in str(entry.detail)]
    assert [detail["name"] for detail in audited] == ["userpass-alice"]


def test_a_compromised_secret_wants_a_yes(office: Any, turned: Turned) -> None:
    """After a no nothing has begun: exit 1. After a yes, on a terminal or by `--yes`, Gong's admin is asked at once."""
    alice, compromised = office.as_("alice"), ("rotate", str(office.key), "--compromised")
    done = alice(*compromised, given="n\n")
    assert (done.returncode, done.stdout.strip(), "THIS WILL BREAK" in done.stderr) == (1, "", True)
    assert nothing_begun(turned.world)
    assert alice(*compromised, given="y\n").returncode == 3  # there is no Prefect
    assert turned.attempt.terms == Terms(compromised=True)
    assert alice.json(*compromised, "--yes", code=3)["error"] == "UnavailableError"  # nothing was asked
    turned.start(terms=Terms(compromised=True))
    question = turned.at(GateKind.GONG_ROTATION).question
    assert (question["compromised"], question["grace_hours"]) == (True, 0)


def test_due_says_what_a_sweep_would_do(office: Any, turned: Turned) -> None:
    """When a secret is due, why it is not turned now, or that it is; it begins nothing, and asks no Prefect."""
    key = str(office.key)
    shown = office.command.having(COLUMNS="200")("rotate", "due")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert all(words in shown.stdout for words in (key, "not_due", "due on "))
    later(office, days=91)
    (line,) = office.command.json("rotate", "due")
    assert (line["key"], line["what"], line["why"][:10]) == (key, "start", "due since ")
    assert line["due_at"] < turned.world.clock.now().isoformat()
    assert nothing_begun(turned.world)


# --- while it turns


def test_there_and_back_again(office: Any, turned: Turned) -> None:
    """An operator says both, with a reason that is kept; in between nothing moves, and everything says so."""
    new, alice, key = turned.to_proof(), office.as_("alice"), str(office.key)
    refused = office.as_("bob").json("rotate", "rollback", key, "--reason", "no", code=1)
    assert refused["error"] == "NotPermittedError"
    said = alice("rotate", "rollback", key, given="customers complain\n")  # the reason is asked for
    assert (said.returncode, "the older secret will be put back" in said.stdout) == (0, True)
    assert turned.attempt.wish is Wish.ROLL_BACK
    assert turned.run() is None
    assert turned.state is RotationState.ROLLED_BACK
    assert turned.secret_of(turned.world.pointer.current) == turned.pair.client_secret
    assert turned.secret_of(turned.world.pointer.pending) == new.client_secret
    halted = alice("rotate", key)
    assert (halted.returncode, "is halted (rolled_back)" in halted.stdout) == (0, True)
    assert "`keyturn rotate resume` or `abandon`" in halted.stdout
    resumed = alice.json("rotate", "resume", key, "--reason", "corrected", code=3)  # there is no Prefect
    assert (resumed["error"], turned.attempt.halt) == ("UnavailableError", Halt.NONE)
    turned.at(GateKind.PROOF)
    reasons = {entry.event: entry.detail.get("reason") for entry in turned.world.trail}
    assert (reasons["rotation.wished"], reasons["rotation.resumed"]) == ("customers complain", "corrected")


def test_a_rollback_too_early_or_too_late(office: Any, turned: Turned) -> None:
    """Before a new secret was handed in, and once the older one is dead: exit 1, and what to do instead."""
    rollback = ("rotate", "rollback", str(office.key), "--reason", "customers complain")
    turned.to_click()
    early = office.as_("alice").json(*rollback, code=1)
    assert ("no new secret was handed in" in early["problem"], early["remedy"]) == (True, "Use abandon instead.")
    turned.submit(turned.click())
    turned.at(GateKind.PROOF)
    later(office, days=8)
    late = office.as_("alice").json(*rollback, code=1)
    assert late["problem"].startswith("the older secret has been dead since ")
    assert turned.attempt.wish is Wish.NONE


def test_an_orphan_can_be_rolled_back(office: Any, turned: Turned) -> None:
    """Somebody has edited the profile: `due` names the ways on, and the older secret is put back by one of them."""
    turned.to_proof()
    profile = str(turned.world.receipt(Stage.APPLY).body["profile_id"])
    office.stackone.edit_profile(profile, name=f"{turned.world.profile_name} (mine)")
    with turned.world.refused(StageFailedError, "edited by hand"):
        turned.run()
    assert turned.state is RotationState.ORPHANED
    (line,) = office.command.json("rotate", "due")
    assert (line["what"], f"`keyturn rotate resume {office.key}`" in line["why"]) == ("stopped", True)
    alice = office.as_("alice")
    assert alice.json("rotate", "rollback", str(office.key), "--reason", "mine", code=3)["error"] == "UnavailableError"
    assert turned.run() is None
    assert turned.state is RotationState.ROLLED_BACK


def test_an_abandoned_rotation(office: Any, turned: Turned) -> None:
    """It has ended for a reason and cannot be resumed; nothing is moved, and the new secret waits for the next one."""
    new, alice, key = turned.to_proof(), office.as_("alice"), str(office.key)
    said = alice.json("rotate", "abandon", key, "--reason", "not now")
    assert (said["attempt"], said["state"], said["reason"]) == (str(turned.attempt.id), "abandoned", "not now")
    assert office.gates() == []
    assert turned.secret_of(turned.world.pointer.current) == turned.pair.client_secret
    assert turned.secret_of(turned.world.pointer.pending) == new.client_secret
    over = alice.json("rotate", "resume", key, "--reason", "after all", code=1)
    assert (over["error"], over["problem"]) == ("RefusedError", "no rotation is under way")


def test_a_lost_secret(office: Any, turned: Turned) -> None:
    """Not before it is asked for, and by nobody else; then a second click is to be approved, and why that hurts."""
    lost = ("rotate", "lost", str(office.key), "--reason", "a crash")
    bob, grace = office.as_("bob"), office.as_("grace")
    turned.start()
    turned.at(GateKind.APPROVE)
    assert grace.json(*lost, code=1)["error"] == "GateClosedError"
    turned.world.approve()
    turned.at(GateKind.GONG_ROTATION)
    assert bob.json(*lost, code=1)["error"] == "NotPermittedError"
    said = grace.json(*lost)
    assert (said["state"], said["halt"], said["wish"]) == ("active", "", "lost_secret")
    turned.at(GateKind.APPROVE)
    assert "KILLS THE SECRET IN USE AT ONCE" in str(office.gates()[0].question["warning"])
