"""Everything that can go wrong, in one tree.

::

    KeyturnError(subject, problem, remedy)           exit code
    ├── ConfigurationError                             2   a setting, a manifest, a command: fix the text
    │   └── ManifestError
    ├── RefusedError                                   1   a rule said no; nothing was changed
    │   ├── NotPermittedError                              this person may not do this
    │   ├── GateClosedError                                nothing is being asked (any more)
    │   ├── DigestChangedError                             the manifest is no longer the one that was seen
    │   ├── CredentialRefusedError                         lint or the probe says the pair is wrong
    │   └── WrappingTokenUsedError                         somebody unwrapped it before us: an alert
    ├── StageFailedError                               1   a stage ended badly, a person must act
    │   └── RollBackWantedError                            a rotation is to put the older secret back
    ├── VendorRefusedError(…, status)                  1   Gong, StackOne, Vault or Prefect answered no
    ├── SupersededError                                1   a newer execution of the attempt has taken over
    └── TransientError(…, retry_after_s)               3   trying again will help
        ├── UnavailableError                               no connection, sealed, 5xx, timeout before sending
        ├── RateLimitedError                               429 with Retry-After
        └── AmbiguousError                                 sent, and no answer: look before believing anything

One question decides about retries, and the type answers it: is it a `TransientError`? Arguments are plain
sentences, so an error survives pickling and carries no headers, bodies or secrets into logs and databases.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar


class KeyturnError(Exception):
    """What happened, to what, and what to do next.

    Args:
        subject: what it is about: an integration key, a setting's name, a server's address.
        problem: what is wrong, a clause.
        remedy: what a person does next, a sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, subject: str, problem: str, remedy: str = "") -> None:
        super().__init__(subject, problem, remedy)
        self.subject, self.problem, self.remedy = subject, problem, remedy

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}" + (f" → {self.remedy}" if self.remedy else "")


class ConfigurationError(KeyturnError):
    """A setting, a manifest or a command is wrong."""

    exit_code = 2


class ManifestError(ConfigurationError):
    """A manifest cannot be read, or has faults that lint reports."""


class RefusedError(KeyturnError):
    """One of our own rules said no. Nothing was changed."""


class NotPermittedError(RefusedError):
    """This person may not do this: wrong group, own request, or not a person."""


class GateClosedError(RefusedError):
    """No such question is open: not asked yet, decided, expired or void."""


class DigestChangedError(RefusedError):
    """The decision is about another digest than the gate's."""


class CredentialRefusedError(RefusedError):
    """The client id and secret cannot be right: lint or Gong says so."""


class WrappingTokenUsedError(RefusedError):
    """A single-use wrapping token was used before, so somebody else may have read what it wrapped."""


class StageFailedError(KeyturnError):
    """A stage of an attempt ended badly; trying again unchanged will not help."""


class RollBackWantedError(StageFailedError):
    """The rotation is disproven, or a person wants it undone: its run puts the older secret back."""


class VendorRefusedError(KeyturnError):
    """A server answered with a definite no, or with something that cannot be read.

    Args:
        status: the HTTP status of a no; `None` when the answer could not be read, or there was no status.
    """

    def __init__(self, subject: str, problem: str, remedy: str = "", status: int | None = None) -> None:
        super().__init__(subject, problem, remedy)
        self.args = (subject, problem, remedy, status)
        self.status = status

    @property
    def gone(self) -> bool:
        """Whether the no means that there is no such thing (any more)."""
        return self.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class SupersededError(KeyturnError):
    """A newer execution of the same attempt exists; this one must stop (fencing)."""


class TransientError(KeyturnError):
    """Trying again will help.

    Args:
        retry_after_s: how long the server asked us to wait, in seconds; 0 when it did not say.
    """

    exit_code = 3

    def __init__(self, subject: str, problem: str, remedy: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(subject, problem, remedy)
        self.args = (subject, problem, remedy, retry_after_s)
        self.retry_after_s = retry_after_s


class UnavailableError(TransientError):
    """The server could not be reached, is sealed or starting, or failed with a 5xx before doing anything."""


class RateLimitedError(TransientError):
    """The server said 429."""


class AmbiguousError(TransientError):
    """A request was sent and no answer came: it may or may not have had its effect."""
