"""What proves a new secret, what disproves it, and what does neither."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import Halt, Stage
from keyturn.domain.gate import GateKind
from keyturn.domain.rotation import RotationState
from keyturn.services.rotation.proof import is_due
from tests.services.rotation.turned import Turned
from tests.twins import API_KEY


def test_a_new_link_proves_it_at_once(turned: Turned) -> None:
    """On the account that is kept for that; the customer's own is not touched, and the watch wakes the run."""
    turned.to_proof()
    customers = turned.world.twins.accounts()
    link = turned.world.link()
    assert not turned.woken()
    assert turned.world.consent(link) == "authenticated"
    assert turned.woken()
    turned.at(GateKind.GRACE)
    kept, canary = turned.world.twins.accounts()
    assert [kept] == customers
    assert canary["origin_owner_id"] == "keyturn-canary"
    body = turned.world.receipt(Stage.VERIFY).body
    assert (body["by"], body["account_id"]) == ("link", canary["id"])


def test_a_live_call_proves_it_only_after_a_tokens_life(turned: Turned) -> None:
    """A day and half an hour after the write, not a minute sooner, although calls go through all the time."""
    turned.to_proof()
    turned.pass_time(hours=24, minutes=29)
    assert turned.world.ports.hub.list_users(turned.account).ok
    assert not turned.woken()
    turned.at(GateKind.PROOF)
    turned.pass_time(minutes=1)
    assert turned.woken()
    turned.at(GateKind.GRACE)
    body = turned.world.receipt(Stage.VERIFY).body
    assert (body["by"], body["account_id"], body["hours_after"]) == ("refresh", turned.account, 24.5)


def test_what_did_not_work_before_disproves_nothing(turned: Turned) -> None:
    """An account that failed before the rotation may fail after it: not proven, and never promoted."""
    turned.world.twins.fault(turned.world.twins.stackone, "POST /actions/rpc", "status", status=403)
    turned.stackone_is(write_effect="garbled")
    turned.to_proof()
    turned.pass_time(days=8)
    for _ in range(3):  # once an hour: a call that may prove it costs the company's budget at Gong
        assert turned.woken()
        assert turned.at(GateKind.PROOF).question["failures"] == 0
        turned.pass_time(minutes=59)
        assert not turned.woken()
        turned.pass_time(minutes=1)
    assert turned.state is RotationState.APPLIED
    pointer = turned.world.pointer
    assert pointer.pending
    assert turned.secret_of(pointer.current) == turned.pair.client_secret


def test_one_failure_is_no_disproof(turned: Turned) -> None:
    """A call that fails once and goes through the next time is a hiccup; two looks at one failure are one failure."""
    turned.handed_in()
    turned.world.twins.fault(turned.world.twins.stackone, "POST /actions/rpc", "status", status=401)
    assert turned.at(GateKind.PROOF).question["failures"] == 1
    assert turned.at(GateKind.PROOF).question["failures"] == 1
    turned.pass_time(hours=25)
    turned.at(GateKind.GRACE)
    assert turned.attempt.halt is Halt.NONE


def test_two_failures_apart_are_a_disproof(turned: Turned) -> None:
    """An account that worked before and fails twice, five minutes apart, has the older secret put back."""
    turned.stackone_is(write_effect="garbled")
    turned.to_proof()
    turned.stackone_is(write_effect="kept")
    turned.pass_time(hours=25)
    assert turned.woken()
    assert turned.at(GateKind.PROOF).question["failures"] == 1
    assert not turned.woken()
    turned.pass_time(minutes=5)
    assert turned.woken()
    assert turned.run() is None
    assert turned.state is RotationState.ROLLED_BACK


def test_a_call_that_tells_nothing_leaves_refused_links_counted(turned: Turned) -> None:
    """Where the account failed before the rotation, calls are no proof either way, and two refused links still are."""
    turned.world.twins.fault(turned.world.twins.stackone, "POST /actions/rpc", "status", status=403)
    turned.stackone_is(write_effect="garbled")
    turned.to_proof()
    assert turned.world.consent(turned.world.link()) == "error"
    turned.pass_time(days=2)
    gate = turned.at(GateKind.PROOF)
    assert (gate.question["failures"], "called_at" in gate.question) == (1, True)
    assert turned.world.consent(turned.world.link()) == "error"
    turned.stackone_is(write_effect="kept")
    assert turned.run() is None
    assert turned.state is RotationState.ROLLED_BACK


def test_an_account_that_is_gone_disproves_nothing(turned: Turned) -> None:
    """Whoever removed it said nothing about the secret: it is not proven, and a new link still proves it."""
    turned.to_proof()
    gone = f"{turned.world.twins.stackone}/accounts/{turned.account}"
    turned.world.twins.control.delete(gone, auth=(API_KEY, "")).raise_for_status()
    gate = turned.world.gate(GateKind.PROOF)
    assert not is_due(turned.world.ports.hub, gate, turned.world.clock.now())
    turned.pass_time(hours=26)
    for _ in range(3):
        assert turned.at(GateKind.PROOF).question["failures"] == 0
    turned.world.consent(turned.world.link())
    turned.at(GateKind.GRACE)


@pytest.mark.parametrize("who", ["the link", "the person"])
def test_disproven_by_a_new_link_or_by_a_person(turned: Turned, who: str) -> None:
    """Two links that Gong refused, or a no at the gate, put the older secret back; one link twice seen is one."""
    turned.stackone_is(write_effect="garbled" if who == "the link" else "kept")
    turned.to_proof()
    if who == "the link":
        assert turned.world.consent(turned.world.link()) == "error"
        assert turned.woken()
        assert "invalid_client" in str(turned.at(GateKind.PROOF).question["last"])
        assert not turned.woken()
        assert turned.at(GateKind.PROOF).question["failures"] == 1
        assert turned.world.consent(turned.world.link()) == "error"
        turned.stackone_is(write_effect="kept")
    else:
        turned.world.reject("grace", "nobody gets in")
    assert turned.run() is None
    assert turned.state is RotationState.ROLLED_BACK
    assert turned.world.ports.hub.list_users(turned.account).ok
