"""`keyturn rotate` and `keyturn check` over many integrations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from keyturn.domain.attempt import AttemptKind, AttemptState, Halt, Stage
from keyturn.domain.health import Observation, Subject
from keyturn.domain.health import Outcome as Seen
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Day
from keyturn.ledger.engine import make_engine
from tests.cli.fleets import read, whats
from tests.cli.test_remote import Laptop, laptop, serve  # noqa: F401  fixtures
from tests.services.fleet import Fleet


@pytest.fixture
def far(laptop: Laptop) -> Laptop:  # noqa: F811  the fixture
    """A laptop in front of a console with real servers behind it; only Prefect is a fake."""
    return laptop


@pytest.fixture
def keys(far: Laptop) -> list[IntegrationKey]:
    """Four onboarded integrations; the window of the last one is closed."""
    ports = far.office.ports
    engine = make_engine(ports.settings.require_ledger_url())
    fleet = Fleet(engine, clock=ports.clock)
    day = list(Day)[(ports.clock.now() + timedelta(days=3)).weekday()].value
    closed = {"days": [day], "from": "09:00", "until": "16:00", "timezone": "UTC"}
    made = [fleet.onboarded(name) for name in ("acme", "initech", "umbrella")]
    made.append(fleet.onboarded("zoo", window=closed))
    engine.dispose()
    return made


def rotations(far: Laptop, keys: list[IntegrationKey]) -> list[int]:
    """How many rotations each ever had."""
    ledger = far.office.ports.ledger
    return [sum(a.kind is AttemptKind.ROTATION for a in ledger.attempts(key)) for key in keys]


def test_rotate_all(far: Laptop, keys: list[IntegrationKey]) -> None:
    """A dry run and a no begin nothing; a yes begins all but those whose window is closed, each once."""
    alice, names = far.as_("alice"), [str(key) for key in keys]
    planned = alice("rotate", "--all", "--dry-run", "--json")
    assert whats(read(planned)) == dict(zip(names, ["planned"] * 3 + ["refused"], strict=True))
    declined = alice("rotate", "--all", given="n\n")
    assert (declined.returncode, declined.stdout.strip()) == (1, "")
    assert "Secrets of 4 integrations are to be turned:" in declined.stderr
    assert all(name in declined.stderr for name in names)
    assert alice("rotate", "--all").returncode == 1, "nobody is there to say yes"
    assert rotations(far, keys) == [0, 0, 0, 0]
    begun = alice("rotate", "--all", given="y\n")
    assert (begun.returncode, "rotate: 4 integrations: 3 started, 1 refused" in begun.stdout) == (1, True)
    assert "its rotation window is closed; it opens at " in begun.stdout
    again = read(alice("rotate", "*/production", "--yes", "--json"))
    assert whats(again) == dict(zip(names, ["already under way"] * 3 + ["refused"], strict=True))
    assert rotations(far, keys) == [1, 1, 1, 0]
    assert len(far.runs.states) == 3


def test_what_was_turned_lately_is_not_turned_again(far: Laptop, keys: list[IntegrationKey]) -> None:
    """So the same command can be repeated even when some are through; unless somebody says that it is to be."""
    alice, ledger = far.as_("alice"), far.office.ports.ledger
    two = [str(key) for key in keys[:2]]
    assert read(alice("rotate", *two, "--yes", "--json"))["counts"] == {"started": 2}
    run = ledger.begin_execution(ledger.attempts(keys[0])[0].id, None)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.PROMOTE, {})
    ledger.finish(run, AttemptState.COMPLETED, "")
    again = read(alice("rotate", *two, "--yes", "--json"))
    assert whats(again) == {two[0]: "done before", two[1]: "already under way"}
    assert "--newer-than 0" in again["integrations"][0]["says"]
    assert rotations(far, keys) == [1, 1, 0, 0]
    assert read(alice("rotate", *two, "--yes", "--json", "--newer-than", "0"))["counts"]["started"] == 1
    assert rotations(far, keys) == [2, 1, 0, 0]
    assert alice.json("rotate", *two, "--yes", "--newer-than", "a while", code=2)["subject"] == "a while"


def test_check_many(far: Laptop, keys: list[IntegrationKey]) -> None:
    """Each is looked at, and an unknown name stops none."""
    alice, office = far.as_("alice"), far.office
    names = [str(key) for key in keys]
    for who in (alice, office.as_("alice")):
        done = who("check", *names[:2], "nobody/production", "--json")
        assert [one["key"] for one in read(done)] == names[:2]
        assert (done.returncode, "nobody/production: was never onboarded" in done.stderr) == (1, True)
    everything = office.as_("alice")("check", "*/production", "--at-once", "4")
    assert all(f"{name}\n" in everything.stdout for name in names)


def seen(far: Laptop, key: IntegrationKey, ago: timedelta, outcome: Seen = Seen.OK) -> None:
    """Somebody has looked at everything, so long ago, and found this."""
    ports = far.office.ports
    at = ports.clock.now() - ago
    ports.observatory.observe(key, [Observation(subject, outcome, "seen", at) for subject in Subject], [], [])


def test_going_on_with_a_check(far: Laptop, keys: list[IntegrationKey]) -> None:
    """What was found well lately is left out, and nothing else: a first half that was red stays red."""
    names, alice = [str(key) for key in keys], far.as_("alice")
    seen(far, keys[0], timedelta(minutes=5))
    seen(far, keys[1], timedelta(hours=2))  # a worker has taken it on since then, and was killed
    seen(far, keys[2], timedelta(minutes=5), Seen.BAD)
    first = alice("check", *names[2:], "--json")
    assert first.returncode != 0
    for _ in range(2):
        again = alice("check", "--all", "--newer-than", "1h", "--json")
        assert [one["key"] for one in read(again)] == names[1:]
        assert again.returncode == first.returncode
    shown = alice("check", "--all", "--newer-than", "1h", "--at-once", "2")
    assert (shown.returncode, "1 done before" in shown.stdout) == (first.returncode, True)
    well = alice("check", names[0], "nobody/production", "--newer-than", "1h")
    assert (well.returncode, "nobody/production: was never onboarded" in well.stdout) == (1, True)


def test_faults_are_told_of_what_was_well(far: Laptop, keys: list[IntegrationKey]) -> None:
    """Of two files about an integration nobody knows which counts, however well it was a moment ago."""
    seen(far, keys[0], timedelta(minutes=5))
    office, folder = far.office, far.office.command.folder / "twins"
    folder.mkdir()
    for name in ("one.yaml", "two.yaml"):
        (folder / name).write_text(f"tenant: {keys[0].tenant}\nenvironment: {keys[0].environment}\n")
    done = office.as_("alice")("check", "twins", "--newer-than", "1h")
    assert (done.returncode, "one.yaml and two.yaml are all about it" in done.stdout) == (2, True)


def test_a_duration_that_reaches_before_all_time(far: Laptop, keys: list[IntegrationKey]) -> None:
    """It is a mistake of whoever types it, and no traceback."""
    assert keys
    said = far.as_("alice").json("check", "--all", "--newer-than", "999999d", code=2)
    assert (said["subject"], said["problem"]) == ("999999d", "is longer than ten years")


def test_what_is_compromised_is_turned_however_new_it_is(far: Laptop, keys: list[IntegrationKey]) -> None:
    """A secret that was turned an hour ago may be known since then; only whoever says so has it left alone, by name."""
    alice, ledger = far.as_("alice"), far.office.ports.ledger
    turned, turning, halted = (str(key) for key in keys[:3])
    assert read(alice("rotate", turned, turning, halted, "--yes", "--json"))["counts"] == {"started": 3}
    runs = [ledger.begin_execution(ledger.attempts(key)[0].id, None) for key in (keys[0], keys[2])]
    with ledger.exclusive(runs[0]) as work:
        work.write_receipt(Stage.PROMOTE, {})
    ledger.finish(runs[0], AttemptState.COMPLETED, "")
    ledger.halt(runs[1], Halt.ORPHANED, "nobody carried it")
    words = ("rotate", turned, turning, "--compromised", "--yes")
    spared = alice(*words, "--newer-than", "1d")
    assert f"{turned} was left alone: its secret was turned at " in spared.stderr
    assert rotations(far, keys)[0] == 1
    planned = read(alice(*words, "--dry-run", "--json"))
    assert whats(planned) == {turned: "planned", turning: "refused"}
    begun = alice(*words, "--json")
    assert (begun.returncode, whats(read(begun))) == (1, {turned: "started", turning: "refused"})
    for said in (planned, read(begun)):
        assert "a rotation on other terms is under way" in said["integrations"][1]["problem"]
    for more in ((), ("--dry-run",)):  # what is halted goes on only when somebody says so, and that is said either way
        said = read(alice("rotate", turning, halted, "--yes", "--json", *more))
        assert whats(said) == {turning: "already under way", halted: "refused"}
        assert said["integrations"][1]["problem"] == "is halted (orphaned): nobody carried it"
