from __future__ import annotations

from threading import Event

import pytest

from keyturn.console.pages.outside import seen
from keyturn.errors import UnavailableError


def test_what_is_found_is_found() -> None:
    """A look that answers gives its answer."""
    assert (seen(lambda: 7).found, seen(lambda: 7).unknown) == (7, "")


def test_a_failure_is_a_sentence() -> None:
    """A look that fails says why, and what to do."""

    def away() -> None:
        raise UnavailableError("Vault", "is sealed", "Unseal it.")

    result = seen(away)
    assert (result.found, result.unknown, result.too_late) == (None, "Vault: is sealed → Unseal it.", False)


def test_nobody_waits_for_a_silent_server() -> None:
    """A look that takes too long is given up, and says so; what it is doing goes on without anybody waiting."""
    answered, asked = Event(), Event()

    def silent() -> bool:
        asked.set()
        return answered.wait(30)

    result = seen(silent, within_s=0.05)
    assert asked.wait(30)
    assert not answered.is_set()
    assert (result.found, result.too_late) == (None, True)
    assert "no answer within" in result.unknown
    answered.set()


def test_a_fault_of_our_own_is_not_hidden() -> None:
    """What is no failure of a neighbour stays an error."""
    with pytest.raises(ZeroDivisionError):
        seen(lambda: 1 // 0)
