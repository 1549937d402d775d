"""`keyturn onboard` and `keyturn plan` over many manifests."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from keyturn.domain.attempt import AttemptState
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from tests.cli.fleets import attempts, read, stopped, whats, write
from tests.cli.test_remote import Laptop, laptop, serve  # noqa: F401  fixtures

ALICE = Person("vault:entity/alice", "alice", frozenset({"requester", "operator"}), "vault token (userpass)")


@pytest.fixture
def far(laptop: Laptop) -> Laptop:  # noqa: F811  the fixture
    """A laptop in front of a console with real servers behind it; only Prefect is a fake."""
    return laptop


def test_all_from_afar(far: Laptop) -> None:
    """All of the console's manifests are started but the faulty ones, each of which says why; and never twice."""
    keys, folder = write(far.office, 3), far.office.command.folder / "integrations"
    (folder / "broken.yaml").write_text((folder / "ours.yaml").read_text().replace("terms_url", "term_url"))
    (folder / "broken.yaml").write_text((folder / "broken.yaml").read_text().replace("tenant: all", "tenant: other"))
    (folder / "twin.yaml").write_bytes((folder / "fleet-0.yaml").read_bytes())
    alice = far.as_("alice")
    done = alice("onboard", "--all", "--json")
    said = read(done)
    assert done.returncode == 2, "a text is to be corrected"
    assert said["counts"] == {"started": 3, "failed": 3}
    twins = [one for one in said["integrations"] if "are all about it" in one.get("problem", "")]
    assert len(twins) == 2
    # Where the console has them is its own.
    both = "fleet-0.yaml and twin.yaml are all about it"
    assert {one["problem"].partition(": ")[2] for one in twins} == {both}
    (broken,) = [one for one in said["integrations"] if "term_url" in one.get("problem", "")]
    assert broken["remedy"]
    (folder / "broken.yaml").unlink()
    (folder / "twin.yaml").unlink()
    again = read(alice("onboard", "--all", "--json"))
    assert again["counts"] == {"started": 1, "already under way": 3}
    assert attempts(far.office, keys) == [1, 1, 1, 1]
    assert len(far.runs.states) == 4
    shown = alice("onboard", *keys)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "onboard: 4 integrations: 4 already under way" in shown.stdout
    assert "Nothing was started twice" in shown.stdout


def test_what_is_done_is_left_alone(far: Laptop) -> None:
    """A completed onboarding by the same manifest is not begun again; one that was rejected is not asked for again."""
    keys, ledger = write(far.office, 2), far.office.ports.ledger
    alice = far.as_("alice")
    assert read(alice("onboard", "--all", "--json"))["counts"] == {"started": 3}
    for key, state in zip(keys, (AttemptState.COMPLETED, AttemptState.REJECTED), strict=False):
        run = ledger.begin_execution(ledger.attempts(IntegrationKey.parse(key))[0].id, None)
        ledger.finish(run, state, "")
    done = alice("onboard", "--all", "--json")
    assert whats(read(done)) == dict(zip(keys, ("done before", "refused", "already under way"), strict=True))
    assert done.returncode == 1
    assert f"`keyturn onboard {keys[1]}`" in done.stdout
    assert attempts(far.office, keys) == [1, 1, 1]
    assert alice.json("onboard", keys[0])["created"] is True, "one by its name is begun, as ever"


def test_killed_in_the_middle(far: Laptop) -> None:
    """After kill -9 the same command goes on with what is left: one attempt and one run each."""
    keys, alice = write(far.office, 25), far.as_("alice")
    words = ("onboard", "--all", "--at-once", "3")
    code, _ = stopped(alice, *words, how=signal.SIGKILL, when=lambda: len(far.runs.states) >= 5)
    assert code == -signal.SIGKILL
    before = len(far.runs.states)
    assert before < len(keys)
    said = read(alice(*words, "--json"))
    assert said["counts"].keys() == {"started", "already under way"}
    assert said["counts"]["already under way"] >= 5
    assert attempts(far.office, keys) == [1] * 26
    assert len(far.runs.states) == 26


def test_interrupted_in_the_middle(far: Laptop) -> None:
    """After Ctrl-C what was begun is kept, and it is said how many are left and how to go on; exit code 3."""
    keys, alice = write(far.office, 25), far.as_("alice")
    words = ("onboard", "--all", "--at-once", "2")
    code, said = stopped(alice, *words, how=signal.SIGINT, when=lambda: len(far.runs.states) >= 4)
    left = 26 - sum(attempts(far.office, keys))
    assert (code, left > 0) == (3, True)
    assert f"Interrupted. What was begun is kept; the same command goes on with the {left} that are left." in said
    assert read(alice(*words, "--json"))["counts"] == {"started": left, "already under way": 26 - left}
    assert len(far.runs.states) == 26


def test_when_everything_fails_it_gives_up(far: Laptop) -> None:
    """A whole fleet is not tried in vain: after some failures that are nobody's own, the rest is left for later."""
    write(far.office, 40)
    bob = far.as_("bob")  # is no requester
    done = bob("onboard", "--all", "--json", "--at-once", "4")
    said = read(done)
    counts = said["counts"]
    assert (done.returncode, set(counts)) == (1, {"refused", "not begun"})
    assert (said["gave_up"], said["interrupted"]) == (True, False)
    assert 20 <= counts["refused"] <= 28
    assert "Given up, since one after the other failed" in bob("onboard", "--all").stdout


def test_beside_the_ledger(office: Any) -> None:
    """A folder, files and a quoted pattern; without a Prefect the attempts are kept and their runs are owed: exit 3."""
    keys = write(office, 2)
    alice = office.as_("alice")
    for word in ("integrations", "integrations/*.yaml", "./integrations/"):
        done = alice("onboard", word, "--json")
        assert (done.returncode, read(done)["counts"]) == (3, {"failed": 3})
        assert all("try again" in one["remedy"].lower() or one["remedy"] for one in read(done)["integrations"])
    assert attempts(office, keys) == [1, 1, 1]
    nobody = office.command("onboard", "integrations", "--json")
    assert (nobody.returncode, read(nobody)["counts"]) == (1, {"refused": 3})


def test_plans_of_many(office: Any) -> None:
    """What is there and what would change, a line each, with the kits in folders of their own; nothing is changed."""
    keys = write(office, 1)
    shown = office.command.having(COLUMNS="200")("plan", "--all", "--out", "kits")
    assert (shown.returncode, "plan: 2 integrations: 2 planned" in shown.stdout) == (0, True)
    for key in keys:
        assert key in shown.stdout
        assert (office.command.folder / "kits" / key / "kit.md").is_file()
    said = office.command.json("plan", "integrations")
    assert [(one["key"], one["differences"]) for one in said["integrations"]] == [
        (key, ["everything is new"]) for key in sorted(keys, key=lambda key: key != keys[0])
    ]
    assert attempts(office, keys) == [0, 0]


def test_a_mistake_in_what_is_named(office: Any) -> None:
    """Neither names nor --all, both of them, a folder without manifests, and stages of several: exit code 2."""
    (office.command.folder / "empty").mkdir()
    for words in (("onboard",), ("plan",), ("onboard", "--all", str(office.key)), ("onboard", "empty")):
        assert office.as_("alice").json(*words, code=2)["remedy"]
    assert "one integration" in office.as_("alice").json("onboard", "--all", "--watch", code=2)["problem"]
