"""How dependencies are asked: at once, within a time, once for everybody, and never in heaps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from keyturn.console.readiness import KEPT_S, Answer, Question, Readiness
from keyturn.errors import UnavailableError
from tests.console.serving import until


@dataclass
class Time:
    """A clock that never goes back, moved by a test."""

    seconds: float = 100.0

    def __call__(self) -> float:
        """Now."""
        return self.seconds


@dataclass
class Dependency:
    """Answers what a test says, and counts how often it was asked.

    Attributes:
        open: whether it answers at all.
    """

    says: str = ""
    asked: int = 0
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> str:
        """Be asked."""
        self.asked += 1
        assert self.open.wait(10)
        return self.says


@pytest.fixture
def ledger() -> Dependency:
    """One that answers at once."""
    dependency = Dependency()
    dependency.open.set()
    return dependency


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """People who ask at the same moment."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def readiness(now: Time | None = None, **questions: Question) -> Readiness:
    """With little patience."""
    return Readiness(questions, patience_s=0.2, now=now or Time())


def answer(asked: Readiness) -> Answer:
    """What it says now."""
    return asked.ask().result(10)


@pytest.mark.parametrize(
    ("failing", "words", "ready"),
    [
        ((), "ready", True),
        (("prefect",), "degraded", True),
        (("openid", "prefect"), "degraded", True),
        (("ledger",), "not ready", False),
        (("vault", "prefect"), "degraded", True),
        (("ledger", "vault"), "not ready", False),
    ],
)
def test_what_is_needed(failing: tuple[str, ...], words: str, *, ready: bool) -> None:
    """Without the ledger nothing can be shown; without the others pages can still be read."""
    found = Answer({name: "away" if name in failing else "" for name in ("ledger", "vault", "prefect", "openid")})
    assert (found.words, found.ready) == (words, ready)


def test_all_at_once() -> None:
    """Two questions that wait for each other are both answered: neither waits for the other's end."""
    both = threading.Barrier(2)

    def meets() -> str:
        both.wait(5)
        return ""

    assert Readiness({"ledger": meets, "vault": meets}).ask().result(10).ready


def test_one_that_hangs_has_failed_and_is_asked_once(ledger: Dependency) -> None:
    """Whoever asks has an answer in time, again and again, and behind it waits one question only, until it is over."""
    now, vault = Time(), Dependency()
    asked = readiness(now, ledger=ledger, vault=vault)
    for _ in range(3):
        assert answer(asked).problems == {"ledger": "", "vault": "has not answered within 0.2 s"}
        now.seconds += KEPT_S
    assert (ledger.asked, vault.asked) == (3, 1)
    vault.open.set()

    def recovered() -> bool:
        now.seconds += KEPT_S
        return not answer(asked).problems["vault"]

    until(recovered)
    now.seconds += KEPT_S
    assert answer(asked).words == "ready"
    assert vault.asked > 1


def test_kept_for_two_seconds(ledger: Dependency) -> None:
    """An answer stands for two seconds, so probes of any number cost the same; then it is asked again."""
    now = Time()
    asked = readiness(now, ledger=ledger)
    assert answer(asked).ready
    ledger.says = "away"
    now.seconds += KEPT_S - 0.01
    assert answer(asked).ready
    now.seconds += 0.01
    assert not answer(asked).ready
    assert ledger.asked == 2


def test_many_at_once_share_one_question(threads: ThreadPoolExecutor) -> None:
    """Eight who ask at the same moment get the same answer, and the dependency is asked once."""
    slow = Dependency()
    asked = Readiness({"ledger": slow}, now=Time())
    answers = list(threads.map(lambda _: asked.ask(), range(8)))
    slow.open.set()
    assert len({id(each.result(10)) for each in answers}) == 1
    assert slow.asked == 1


def test_why_is_in_the_log_once(ledger: Dependency, caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong is logged when it begins, when it changes, and when it is over: not at every probe."""
    now = Time()
    asked = readiness(now, ledger=ledger)
    for says in ("", "away", "away", "pending", "", ""):
        ledger.says = says
        answer(asked)
        now.seconds += KEPT_S
    assert caplog.messages == ["ledger: away", "ledger: pending", "ledger answers again"]


def test_whatever_is_raised_is_a_failure() -> None:
    """One of keyturn's errors says what is wrong; of any other only the kind is told, since it may say anything."""

    def ours() -> str:
        raise UnavailableError("Vault at vault.example", "is sealed")

    def other() -> str:
        raise ValueError("hunter2")

    found = answer(readiness(vault=ours, ledger=other))
    assert found.problems == {"vault": "Vault at vault.example: is sealed", "ledger": "failed with ValueError"}
