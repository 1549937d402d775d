from __future__ import annotations

import json
from typing import Any

from keyturn.sandbox.vault_api import VaultApi


def opened(office: Any) -> str:
    """Alice onboards, and a run asks for approval; gives the digest."""
    office.as_("alice")("onboard", str(office.key))
    office.run()
    (gate,) = office.gates()
    return str(gate.digest)


def approved(office: Any) -> None:
    """The run waits for Gong's admin."""
    digest = opened(office)
    assert office.as_("bob")("approve", str(office.key), "--digest", digest[:12]).returncode == 0
    office.run()


def steps_of(office: Any, who: Any) -> Any:
    """The kit's steps, as `plan` tells them."""
    return who.json("plan", str(office.key))["kit"]["steps"]


def test_every_person_can_be_a_program(office: Any) -> None:
    """With `--json` and standard input alone, a whole onboarding is played, the assisted profile included."""
    alice, bob, grace, key = office.as_("alice"), office.as_("bob"), office.as_("grace"), str(office.key)
    failure = alice.json("onboard", key, code=3)  # there is no Prefect; the attempt is kept all the same
    assert failure["error"] == "UnavailableError"
    office.run()
    (gate,) = bob.json("gates", key)
    assert (gate["kind"], gate["groups"]) == ("approve", ["approver"])
    decision = bob.json("approve", key, "--digest", gate["digest"], "--note", "fine")
    assert (decision["state"], decision["approvals"], decision["resumed"]) == ("approved", 1, False)
    office.run()
    pair = office.gong.create_integration(steps_of(office, grace))
    taken = grace.json("submit", key, "--stdin", given=f"{pair.client_id}\n{pair.client_secret}\n")
    assert (taken["key"], taken["version"], taken["resumed"]) == (key, 1, False)
    assert pair.client_secret not in json.dumps(taken)
    office.run()
    revealed = grace.json("reveal", key)
    with VaultApi(office.servers.openbao.addr, revealed["token"]) as vault:
        shown = vault.write("sys/wrapping/unwrap")["data"]["data"]
    assert shown == {"client_id": pair.client_id, "client_secret": pair.client_secret}
    question = office.gates()[0].question
    office.stackone.create_profile(str(question["profile_name"]), **shown, scopes=["api:users:read"])
    office.run()
    assert office.gong.consent(grace.json("link", key)["url"]) == "authenticated"
    office.run()
    assert alice.json("verify", key)["proven"] is True
    status = alice.json("status", key)
    assert (status["state"], {stage["status"] for stage in status["stages"]}) == ("completed", {"done"})
    assert office.pointer().current is not None


def test_submit_wants_two_lines(office: Any) -> None:
    """Fewer or more lines than id and secret are a mistake in usage, none of them is repeated, and nothing is kept."""
    approved(office)
    for given in ("", "only-one-line\n", "an-id\nfirst-line\nsecond-line\n"):
        done = office.as_("grace")("submit", str(office.key), "--stdin", given=given)
        assert done.returncode == 2
        assert f"has {len(given.splitlines())} lines" in done.stderr
        assert not any(line in done.stdout + done.stderr for line in given.splitlines())
    assert office.pointer().pending is None
    assert [gate.kind.value for gate in office.gates()] == ["gong_admin"]


def test_a_year_that_no_clock_shows(office: Any) -> None:
    """It is a mistake in usage, told in words, and not a crash; nothing is read of what is handed in."""
    approved(office)
    words = ("submit", str(office.key), "--clicked-at", "0001-01-01", "--stdin")
    refused = office.as_("grace").json(*words, given="an-id\na-secret\n", code=2)
    assert refused["problem"] == "cannot have been in the year 1"


def test_what_a_program_cannot_have_seen_it_cannot_approve(office: Any) -> None:
    """Without a terminal the digest must be given, long enough, and be the one that is asked about."""
    digest = opened(office)
    bob, key = office.as_("bob"), str(office.key)
    assert bob("approve", key).returncode == 2
    assert bob.json("approve", key, code=2)["remedy"].startswith("Give --digest")
    assert bob("approve", key, "--digest", digest[:4]).returncode == 2
    assert bob.json("approve", key, "--digest", "0" * 64, code=1)["error"] == "DigestChangedError"
    assert [gate.state.value for gate in office.gates()] == ["open"]


def test_no_is_an_answer(office: Any) -> None:
    """A rejection is told as JSON, closes the gate, and ends the attempt."""
    opened(office)
    said = office.as_("bob").json("reject", str(office.key), "--reason", "wrong logo")
    assert said["state"] == "rejected"
    assert office.gates() == []


def test_a_refusal_has_exit_code_1(office: Any) -> None:
    """Whatever keyturn's own rules forbid changes nothing, and is neither a usage mistake nor an outage."""
    key = str(office.key)
    opened(office)
    for words in (("submit", key, "--stdin"), ("reveal", key), ("link", key)):
        failure = office.as_("grace").json(*words, code=1)
        assert failure["error"] == "GateClosedError"
        assert failure["remedy"]
    assert office.as_("grace").json("abandon", key, "--reason", "no", code=1)["error"] == "NotPermittedError"


def test_an_attempt_can_be_given_up(office: Any) -> None:
    """Its requester ends it, and what was asked is not asked any more."""
    opened(office)
    ended = office.as_("alice").json("abandon", str(office.key), "--reason", "not now")
    assert (ended["key"], ended["state"]) == (str(office.key), "abandoned")
    assert office.gates() == []


def test_who_somebody_is_cannot_be_said(office: Any) -> None:
    """Without a token of Vault nobody is anybody, and there is no option to say otherwise."""
    opened(office)
    done = office.command.json("approve", str(office.key), "--digest", "0" * 12, code=1)
    assert (done["error"], done["subject"]) == ("NotPermittedError", "you")
    assert office.command("approve", str(office.key), "--as", "bob").returncode == 2
