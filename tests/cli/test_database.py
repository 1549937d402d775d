from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyturn.ledger import migrate


def test_status_upgrade_and_downgrade(command: Any, new_database: Callable[[], str]) -> None:
    """On an empty database: everything is pending, then nothing, and back again; `status` exits 1 while any is."""
    db = command.having(KEYTURN_LEDGER__URL=new_database())
    before = db.json("db", "status", code=1)
    assert before["current"] is None
    assert before["pending"][0].startswith("0001 ")
    assert db.json("db", "upgrade")["applied"] == before["pending"]
    after = db.json("db", "status")
    assert (after["current"], after["pending"]) == (before["pending"][-1].split()[0], [])
    assert db("db", "upgrade").stdout == "applied: nothing was pending\n"
    assert db("db", "downgrade", "base", given="n\n").returncode == 1
    assert db.json("db", "status") == after
    assert db.json("db", "downgrade", "base", "--yes") == {"current": None}
    assert db("db", "status").stdout.startswith("current: none\npending: 0001 ")


def test_a_revision_nobody_knows(command: Any, url: str) -> None:
    """The database stays as it is, and the sentence says where it stands."""
    db = command.having(KEYTURN_LEDGER__URL=url)
    failure = db.json("db", "downgrade", "9999", "--yes", code=2)
    assert failure["error"] == "ConfigurationError"
    assert migrate.pending(url) == []


def test_a_restored_ledger_goes_on_with_numbers_that_none_has_had(office: Any) -> None:
    """An operator says so; every active attempt leaps, which the trail tells, and nobody else may say it."""
    office.as_("alice")("onboard", str(office.key))
    before = office.ports.ledger.attempts(office.key)[0]
    assert office.as_("bob").json("db", "restored", code=1)["error"] == "NotPermittedError"
    (raised,) = office.as_("alice").json("db", "restored")
    after = office.ports.ledger.attempts(office.key)[0]
    assert (raised["key"], raised["fence"]) == (str(office.key), after.fence)
    assert after.fence >= before.fence + 1000
    last = list(office.ports.ledger.trail(office.key))[-1]
    assert (last.event, last.detail["fence"], last.actor != "system") == ("attempt.fence_raised", after.fence, True)
