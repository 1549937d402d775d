"""The one seam where errors of SQLAlchemy, psycopg and PostgreSQL become ours.

What is not listed here is a fault in keyturn itself and is passed on as it is. Codes:
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from keyturn.errors import AmbiguousError, ConfigurationError, KeyturnError, RefusedError, UnavailableError
from keyturn.ledger.engine import place

_LOCK_NOT_AVAILABLE = "55P03"
_DISAGREES = {
    "42P01": "has no tables of keyturn, or older ones",
    "42703": "has older tables than this keyturn",
    "42883": "has older functions than this keyturn",
    "3F000": "has no schema for keyturn",
}
_SIGN_IN = {
    "28P01": "does not accept the user or the password",
    "28000": "does not let this user in from here",
    "3D000": "does not exist",
    "42501": "does not allow the user what keyturn does",
}
_TOLD_WHILE_CONNECTING = {
    "authentication failed|no password supplied|no pg_hba.conf entry": _SIGN_IN["28P01"],
    'role ".*" (does not exist|is not permitted to log in)': "has no such user, or lets it sign in nowhere",
    "FATAL: +permission denied for database": "does not let this user connect",
    "FATAL: .*database .* does not exist": _SIGN_IN["3D000"],
    "SSL was required|invalid sslmode|root certificate|certificate verify failed|server certificate for": (
        "cannot be reached with TLS as the address asks for it"
    ),
}
# Trying again helps. By the beginning of the code, the more special first.
_PASSING = {
    "25P03": "ended a transaction that had stood still for too long",
    "25006": "is a standby that takes no changes now",
    "57014": "cancelled the statement",
    "57P": "is starting or stopping",
    "53": "has no room left",
    "40": "gave this transaction up for another one",
    "08": "lost the connection",
}
_FULL = "too many clients", "too many connections", "remaining connection slots"  # in English, as below


@dataclass(slots=True)
class Phase:
    """How far a transaction has got.

    Attributes:
        settling: what is waited for now is the audit trail, and no longer an attempt.
        committing: COMMIT was sent, so a lost connection leaves the outcome unknown.
    """

    settling: bool = False
    committing: bool = False


@contextmanager
def translated(url: URL, subject: str = "") -> Iterator[Phase]:
    """Raise our errors instead of the database's.

    Args:
        url: the ledger's address; host and database are named, the password never.
        subject: whose lock is waited for: an integration key or an attempt.

    Raises:
        UnavailableError: no connection, or somebody else holds the attempt.
        AmbiguousError: the connection was lost while committing.
        ConfigurationError: wrong user, password, database or version of the tables.
        RefusedError: PostgreSQL cannot keep a value.
    """
    phase = Phase()
    try:
        yield phase
    except (SQLAlchemyError, psycopg.Error) as error:
        ours = _ours(error, place(url), subject, phase)
        if ours is None:
            raise
        raise ours from None


def _ours(error: Exception, where: str, subject: str, phase: Phase) -> KeyturnError | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = (cause.sqlstate or "") if isinstance(cause, psycopg.Error) else ""
    if code == _LOCK_NOT_AVAILABLE:
        return _held(subject or where, phase)
    if code in _DISAGREES:
        return ConfigurationError(where, _DISAGREES[code], "Run `keyturn db upgrade`.")
    if problem := _SIGN_IN.get(code) or _told_while_connecting(cause):
        return ConfigurationError(where, problem, "Check KEYTURN_LEDGER__URL, and the user's rights in PostgreSQL.")
    if isinstance(cause, psycopg.DataError):
        return RefusedError(
            subject or where, "holds a value PostgreSQL cannot keep", "Look for control characters in it."
        )
    passing = _passing(cause, code)
    return _lost(where, passing, phase) if passing else None


def _held(subject: str, phase: Phase) -> KeyturnError:
    attempt = "another execution of the attempt is in the middle of a step"
    problem = "somebody else holds the audit trail, or upgrades it" if phase.settling else attempt
    return UnavailableError(subject, problem, "Nothing was changed; try again in a moment.")


def _lost(where: str, problem: str, phase: Phase) -> KeyturnError:
    if phase.committing:
        remedy = "It may have taken effect: look at `keyturn status` before going on."
        return AmbiguousError(where, f"{problem} while committing", remedy)
    return UnavailableError(where, problem, "Nothing was changed; check that PostgreSQL runs there, and try again.")


def _passing(cause: BaseException | None, code: str) -> str:
    if code:
        return next((words for start, words in _PASSING.items() if code.startswith(start)), "")
    # Without a code PostgreSQL said nothing, or said it to libpq while connecting.
    if isinstance(cause, psycopg.errors.ConnectionTimeout):
        return "does not answer"
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return ""
    full = any(words in str(cause) for words in _FULL)
    return "has no connection left" if full else "cannot be reached, or broke off"


def _told_while_connecting(cause: BaseException | None) -> str:
    # libpq gives a refused connection no code, only PostgreSQL's sentence. In other languages than English it is
    # taken for an unreachable server: less helpful, not wrong.
    said = str(cause) if isinstance(cause, psycopg.OperationalError) else ""
    return next((problem for words, problem in _TOLD_WHILE_CONNECTING.items() if re.search(words, said)), "")
