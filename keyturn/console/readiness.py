"""Whether what the console depends on answers. Asked by anybody, so it says little: names, `ok` or `failed`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock
from uuid import UUID

from keyturn.clients.vault.session import VaultSession
from keyturn.console.sign_in.line import Line
from keyturn.console.sign_in.published import Published
from keyturn.errors import KeyturnError
from keyturn.ledger import migrate
from keyturn.wiring import Ports

PATIENCE_S = 2.0
KEPT_S = 2.0
NEEDED = frozenset({"ledger"})
"""Without it there is nothing to show. Without the others pages can be read, and most decisions are made and kept."""

_NO_RUN = UUID(int=0)
_log = logging.getLogger(__name__)

Question = Callable[[], str]
"""Asks a dependency; gives what is wrong with it as a clause, or an empty text, or raises why it did not answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How each dependency was found, by name: what is wrong, or an empty text."""

    problems: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether requests may be sent here."""
        return not any(self.problems[name] for name in NEEDED & self.problems.keys())

    @property
    def words(self) -> str:
        """`ready`, `degraded` or `not ready`."""
        if not self.ready:
            return "not ready"
        return "degraded" if any(self.problems.values()) else "ready"


class Readiness:
    """Asks all dependencies at once, for everybody who wants to know within two seconds of each other.

    A dependency that has not answered in time has failed, and is not asked again before it has: a server that hangs
    costs one thread, however often somebody asks.

    Args:
        patience_s: how long an answer may take.
        now: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        questions: Mapping[str, Question],
        *,
        patience_s: float = PATIENCE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._questions, self._patience_s, self._now = questions, patience_s, now
        self._threads = ThreadPoolExecutor(len(questions) + 1, "ready")
        self._asked: dict[str, Future[str]] = {}
        self._answer: Future[Answer] | None = None
        self._stale_at = 0.0
        self._lock = Lock()
        self._known: Mapping[str, str] = {}

    def ask(self) -> Future[Answer]:
        """The answer of the last two seconds, or a new one."""
        with self._lock:
            if self._answer is None or (self._answer.done() and self._now() >= self._stale_at):
                self._answer = self._threads.submit(self._look)
            return self._answer

    def _look(self) -> Answer:
        for name, question in self._questions.items():
            if name not in self._asked or self._asked[name].done():
                self._asked[name] = self._threads.submit(_put, question)
        wait(self._asked.values(), self._patience_s)
        silent = f"has not answered within {self._patience_s:g} s"
        problems = {name: asked.result() if asked.done() else silent for name, asked in self._asked.items()}
        self._tell(problems)
        self._stale_at = self._now() + KEPT_S
        return Answer(problems)

    def _tell(self, problems: Mapping[str, str]) -> None:
        """Log what has changed, with all that is known about it."""
        for name, problem in problems.items():
            if problem and problem != self._known.get(name):
                _log.warning("%s: %s", name, problem)
            elif self._known.get(name) and not problem:
                _log.warning("%s answers again", name)
        self._known = problems


def _put(question: Question) -> str:
    try:
        return question()
    except KeyturnError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  whatever it is, this dependency is not as it must be
        return f"failed with {type(error).__name__}"


def questions(ports: Ports) -> Mapping[str, Question]:
    """What the console depends on; an OpenID provider only where there is one."""
    asked: dict[str, Question] = {
        "ledger": lambda: _pending(ports),
        "vault": _Vault(ports).ask,
        "prefect": lambda: _said(ports.runs.state(_NO_RUN)),
    }
    issuer = ports.settings.console.oidc.issuer
    return asked | ({"openid": _Discovery(str(issuer)).ask} if issuer else {})


def _pending(ports: Ports) -> str:
    pending = migrate.lacking(ports.settings.require_ledger_url())
    return f"migrations are pending: {', '.join(pending)}" if pending else ""


class _Vault:
    """One session for all questions: signing in each time would make a token every two seconds."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._session: VaultSession | None = None

    def ask(self) -> str:
        """Look at our own token: that needs an unsealed Vault, and one that has let us in."""
        self._session = self._session or VaultSession(self._ports.settings.vault)
        return _said(self._session.read("auth/token/lookup-self"))


class _Discovery:
    """The provider's document, read each time: whoever signs people in keeps it for an hour."""

    def __init__(self, issuer: str) -> None:
        self._issuer, self._line = issuer, Line(issuer)

    def ask(self) -> str:
        """Read it, and see that it is the right one."""
        return _said(Published(self._issuer, self._line, time.monotonic).metadata())


def _said(_anything: object) -> str:
    """It answered, and that is all there is to know."""
    return ""
