"""What proves a new secret, what disproves it, and what does neither."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import Halt, Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.rotation import RotationState
from tests.services.rotation.turned import Turned
from tests.twins import API_KEY


def stackone_is(turned: Turned, **options: object) -> None:
    """Turn switches of StackOne's twin."""
    turned.world.twins.options(turned.world.twins.stackone, **options)


def account(turned: Turned) -> str:
    """The customer's account."""
    return str(turned.world.twins.accounts()[0]["id"])


def at(turned: Turned, kind: GateKind) -> Gate:
    """Run, and be at a gate of that kind."""
    gate = turned.run()
    assert gate
    assert gate.kind is kind
    return gate


def test_a_new_link_proves_it_at_once(turned: Turned) -> None:
    """On the account that is kept for that; the customer's own is not touched, and the watch wakes the run."""
    turned.to_proof()
    customers = turned.world.twins.accounts()
    link = turned.world.link()
    assert turned.world.tick().woken == ()
    assert turned.world.consent(link) == "authenticated"
    assert len(turned.world.tick().woken) == 1
    at(turned, GateKind.GRACE)
    kept, canary = turned.world.twins.accounts()
    assert [kept] == customers
    assert canary["origin_owner_id"] == "keyturn-canary"
    body = turned.world.receipt(Stage.VERIFY).body
    assert (body["by"], body["account_id"]) == ("link", canary["id"])


def test_a_live_call_proves_it_only_after_a_tokens_life(turned: Turned) -> None:
    """A day and half an hour after the write, not a minute sooner, although calls go through all the time."""
    turned.to_proof()
    turned.pass_time(hours=24, minutes=29)
    assert turned.world.ports.hub.list_users(account(turned)).ok
    assert turned.world.tick().woken == ()
    at(turned, GateKind.PROOF)
    turned.pass_time(minutes=1)
    assert len(turned.world.tick().woken) == 1
    at(turned, GateKind.GRACE)
    body = turned.world.receipt(Stage.VERIFY).body
    assert (body["by"], body["account_id"], body["hours_after"]) == ("refresh", account(turned), 24.5)


def test_what_did_not_work_before_disproves_nothing(turned: Turned) -> None:
    """An account that failed before the rotation may fail after it: not proven, whatever happens, and never promoted."""
    turned.world.twins.fault(turned.world.twins.stackone, "POST /actions/rpc", "status", status=403)
    stackone_is(turned, write_effect="garbled")
    turned.to_proof()
    turned.pass_time(days=8)
    for _ in range(3):
        assert len(turned.world.tick().woken) == 1
        assert at(turned, GateKind.PROOF).question["failures"] == 0
    assert turned.state is RotationState.APPLIED
    pointer = turned.world.pointer
    assert pointer.current
    assert pointer.pending
    assert turned.world.ports.secrets.read(pointer.current).reveal() == turned.pair.client_secret


def test_one_failure_is_no_disproof(turned: Turned) -> None:
    """A call that fails once and goes through the next time is a hiccup, and is forgotten."""
    turned.handed_in()
    turned.world.twins.fault(turned.world.twins.stackone, "POST /actions/rpc", "status", status=401)
    assert at(turned, GateKind.PROOF).question["failures"] == 1
    assert at(turned, GateKind.PROOF).question["failures"] == 0
    turned.world.twins.fault(turned.world.twins.stackone, "POST /actions/rpc", "status", status=401)
    assert at(turned, GateKind.PROOF).question["failures"] == 1
    assert turned.attempt.halt is Halt.NONE


def test_an_account_that_is_gone_disproves_nothing(turned: Turned) -> None:
    """Whoever removed it said nothing about the secret: it is not proven, and a new link still proves it."""
    turned.to_proof()
    gone = f"{turned.world.twins.stackone}/accounts/{account(turned)}"
    turned.world.twins.control.delete(gone, auth=(API_KEY, "")).raise_for_status()
    assert turned.world.tick().problems == ()
    turned.pass_time(hours=26)
    for _ in range(3):
        assert at(turned, GateKind.PROOF).question["failures"] == 0
    turned.world.consent(turned.world.link())
    at(turned, GateKind.GRACE)


@pytest.mark.parametrize("who", ["the link", "the person"])
def test_disproven_by_a_new_link_or_by_a_person(turned: Turned, who: str) -> None:
    """A link that StackOne could not exchange twice, or a no at the gate, puts the older secret back."""
    stackone_is(turned, write_effect="garbled" if who == "the link" else "kept")
    turned.to_proof()
    if who == "the link":
        assert turned.world.consent(turned.world.link()) == "error"
        assert "invalid_client" in str(at(turned, GateKind.PROOF).question["last"])
        stackone_is(turned, write_effect="kept")
    else:
        turned.world.reject("grace", "nobody gets in")
    assert turned.run() is None
    assert turned.state is RotationState.ROLLED_BACK
    assert turned.world.ports.hub.list_users(account(turned)).ok
