from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.domain.webhook import NEWEST, OLDEST, AccountEvent, why_out_of_time

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("after", "says"),
    [
        (-OLDEST - SECOND, "was sent more than 15 minutes ago"),
        (-OLDEST, ""),
        (timedelta(0), ""),
        (NEWEST, ""),
        (NEWEST + SECOND, "was sent more than 5 minutes from now"),
    ],
    ids=str,
)
def test_the_window(after: timedelta, says: str) -> None:
    """An event counts for a quarter of an hour; a sender's clock may be five minutes ahead, and no more."""
    event = AccountEvent("account.created", "account-1", "", "gong", NOW + after)
    assert why_out_of_time(event, NOW) == says
