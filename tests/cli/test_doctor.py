from __future__ import annotations

from collections.abc import Callable
from typing import Any

CHECKS = [
    "packages",
    "ledger",
    "vault: server",
    "prefect",
    "prefect: leases",
    "stackone: API key",
    "stackone: profile writer",
    "manifests",
    "notify: channels",
]


def test_with_nothing_to_reach_each_check_says_what_to_do(lost: Any) -> None:
    """One dependency that is away hides no other, and each finding has its remedy."""
    checks = {c["name"]: c for c in lost.json("doctor", code=1)["checks"]}
    assert list(checks) == CHECKS
    away = [c for name, c in checks.items() if name not in ("packages", "manifests")]
    assert not [c["name"] for c in away if c["ok"] or not c["remedy"] or "reached" not in c["found"]]
    assert checks["packages"]["ok"]
    assert checks["manifests"]["ok"]


def test_with_nothing_set_each_check_names_its_setting(command: Any) -> None:
    """For people, no name or remedy is cut off or broken, on however narrow a terminal."""
    done = command("doctor", COLUMNS="40")
    assert done.returncode == 1
    for name in ("KEYTURN_LEDGER__URL", "PREFECT_API_URL", "KEYTURN_STACKONE__API_KEY", "KEYTURN_MANIFESTS"):
        assert name in done.stdout
    assert "    → Set it to postgresql://user:password@host/keyturn.\n" in done.stdout


def test_real_servers_pass(office: Any) -> None:
    """Ledger, Vault with the worker's own rights, StackOne and manifests are as they must be; only Prefect is away."""
    told = office.command.json("doctor", "--live", code=3)
    without_profile = "live: stackone accounts by profile"
    away = ["prefect", "prefect: leases"]
    assert [c["name"] for c in told["checks"] if not c["ok"] and c["name"] != without_profile] == away
    assert len(told["by_hand"]) > 3


def test_pending_migrations_are_a_finding(office: Any, new_database: Callable[[], str]) -> None:
    """It names them, and the command that applies them."""
    checks = office.command.having(KEYTURN_LEDGER__URL=new_database()).json("doctor", code=1)["checks"]
    (ledger,) = [c for c in checks if c["name"] == "ledger"]
    assert (ledger["ok"], "0001" in ledger["found"], "keyturn db upgrade" in ledger["remedy"]) == (False, True, True)


def test_a_clock_that_can_be_moved_is_a_fault_anywhere_but_in_a_sandbox(command: Any, lost: Any) -> None:
    """It is fine while Gong is on this machine, and a fault, with its remedy, as soon as it is not."""
    (command.folder / "clock.json").write_text('{"offset_seconds": 604800}')
    moved = {"KEYTURN_SANDBOX_CLOCK": "clock.json"}
    (fine,) = [c for c in lost.having(**moved).json("doctor", code=1)["checks"] if c["name"] == "clock"]
    assert (fine["ok"], fine["found"]) == (True, "a sandbox's, 168 hours ahead")
    (fault,) = [c for c in command.having(**moved).json("doctor", code=1)["checks"] if c["name"] == "clock"]
    assert (fault["ok"], "Gong is not on this machine" in fault["found"]) == (False, True)
    assert "Unset KEYTURN_SANDBOX_CLOCK" in fault["remedy"]


def test_the_stores_are_compared_only_when_asked(office: Any) -> None:
    """With a Prefect that is away: what would be compared with it is unknown, for each integration, too."""
    assert "stores" not in office.command.json("doctor", code=3)
    told = office.command.json("doctor", "--deep", code=3)
    found = told["stores"]["found"]
    assert told["stores"]["integrations"] == 1
    assert {one["key"] for one in found if one["store"] == "prefect"} == {"", str(office.key)}
    assert not [one for one in found if one["known"] or not one["remedy"]]
    assert "not compared" in office.command("doctor", "--deep").stdout


def test_without_a_ledger_nothing_is_compared(lost: Any) -> None:
    """That is unknown, and said as such."""
    (found,) = lost.json("doctor", "--deep", code=1)["stores"]["found"]
    assert (found["known"], "nothing was compared" in found["found"], bool(found["remedy"])) == (False, True, True)
