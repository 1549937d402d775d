from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from keyturn.clients.vault.anchor import VaultAnchor
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.gate import Person
from keyturn.domain.trail import GENESIS, chain
from keyturn.errors import VendorRefusedError
from keyturn.services import manifests
from keyturn.services.trail import anchor, guard

ALICE = Person("vault:entity/alice", "userpass-alice", frozenset({"requester"}), "vault token (userpass)")
EVENTS = ["attempt.opened", "execution.begun", "receipt.written", "gate.opened", "gate.void", "attempt.abandoned"]


@pytest.fixture
def ended(office: Any) -> Iterator[Any]:
    """An integration whose attempt a person has ended, and a Vault that has kept no head of this ledger's trail yet."""
    forget_head(office)
    ledger = office.ports.ledger
    manifest = manifests.load(office.command.folder / "integrations" / "ours.yaml")
    attempt = ledger.open_attempt(manifests.seal(manifest, ()), ALICE).attempt
    office.run()
    ledger.abandon(attempt.id, ALICE, "wrong tenant")
    yield office
    forget_head(office)


def keep_head(office: Any) -> None:
    """What the watch does."""
    settings = office.ports.settings.vault
    session = VaultSession(settings)
    assert anchor(office.ports.trail, VaultAnchor(session, settings)).fault is None
    session._http.close()


def look_after(office: Any) -> None:
    """A round of the watch over the trail."""
    settings, ports = office.ports.settings.vault, office.ports
    session = VaultSession(settings)
    assert guard(ports.trail, VaultAnchor(session, settings), ports.outbox, ports.clock).problems == ()
    session._http.close()


def forget_head(office: Any) -> None:
    """What somebody can do who administers Vault."""
    with office.servers.openbao.api() as root:
        root.delete("keyturn/metadata/audit/head")


def by_force(office: Any, *statements: str) -> None:
    """What the owner of the tables can do."""
    with psycopg.connect(office.ports.settings.require_ledger_url()) as connection:
        connection.execute("ALTER TABLE audit DISABLE TRIGGER tr_audit_append_only")
        for statement in statements:
            connection.execute(statement)
        connection.execute("ALTER TABLE audit ENABLE TRIGGER tr_audit_append_only")


def as_operator(office: Any) -> Any:
    """Alice on a machine that has no sign-in of keyturn's own."""
    return office.as_("alice").having(
        KEYTURN_VAULT__AUTH="token", KEYTURN_VAULT__ROLE_ID="", KEYTURN_VAULT__SECRET_ID=""
    )


def test_the_trail_can_be_read(ended: Any) -> None:
    """Of all integrations or of one, for people and for programs: who did what, when, signed in how."""
    rows = ended.command.json("audit")
    assert [row["event"] for row in rows] == EVENTS
    assert rows == ended.command.json("audit", str(ended.key))
    last = rows[-1]
    assert (last["detail"]["name"], last["signed_in"]) == ("userpass-alice", "vault token (userpass)")
    assert (last["seq"], last["prev"]) == (len(EVENTS), rows[-2]["hash"])
    printed = ended.command("audit", str(ended.key)).stdout
    assert all(event in printed for event in EVENTS)
    assert "userpass-alice" in printed


def test_the_trail_is_sound_once_its_head_is_kept(ended: Any) -> None:
    """Before that its end may have been cut off unseen: exit 3, and not success. A person's own token will do, too."""
    before = ended.command.json("audit", "verify", code=3)
    assert (before["sound"], before["anchored"]) == (None, None)
    keep_head(ended)
    after = ended.command.json("audit", "verify")
    assert after["sound"] is True
    assert after["anchored"] == after["inspection"]["head"]
    done = as_operator(ended)("audit", "verify")
    assert (done.returncode, f"{len(EVENTS)} rows" in done.stdout) == (0, True)


def test_a_vault_that_cannot_be_asked_is_unknown(ended: Any) -> None:
    """It is not there, or whoever asks is not signed in: exit 3, and the reason."""
    keep_head(ended)
    nowhere = ended.command.having(KEYTURN_VAULT__ADDR="http://127.0.0.1:1")
    assert "cannot be reached" in nowhere.json("audit", "verify", code=3)["unknown"]
    nobody = as_operator(ended).having(VAULT_TOKEN="")
    done = nobody("audit", "verify")
    assert (done.returncode, "not signed in" in done.stdout) == (3, True)


def test_a_harmed_trail_is_named(ended: Any) -> None:
    """Which row, and what is wrong with it: exit 1. And no evidence is made of it."""
    keep_head(ended)
    by_force(ended, "CREATE TABLE saved AS SELECT * FROM audit")
    for harm, kind, seq in (
        ("UPDATE audit SET actor = 'x' WHERE seq = 2", "changed", 2),
        ("DELETE FROM audit WHERE seq > 4", "missing", 5),
    ):
        by_force(ended, "TRUNCATE audit", "INSERT INTO audit SELECT * FROM saved", harm)
        found = ended.command.json("audit", "verify", code=1)["inspection"]["fault"]
        assert (found["kind"], found["seq"]) == (kind, seq)
    done = ended.command("audit", "verify")
    assert (done.returncode, found["says"] in done.stdout) == (1, True)
    assert found["says"] in ended.command.json("evidence", str(ended.key), code=1)["problem"]


def test_evidence_is_made_and_checked(ended: Any, command: Any, tmp_path: Path) -> None:
    """Exported by an operator, checked elsewhere without any setting; the newest ended attempt unless one is named."""
    keep_head(ended)
    alice, key, file, pem = as_operator(ended), str(ended.key), tmp_path / "attempt.jws", tmp_path / "public.pem"
    said = alice.json("evidence", key, "--out", str(file))
    assert (said["file"], file.read_text()) == (str(file), said["evidence"] + "\n")
    pem.write_text(alice("evidence", "public-key").stdout)
    assert pem.read_text().startswith("-----BEGIN PUBLIC KEY-----")
    found = command.json("evidence", "verify", str(file), "--key", str(pem))
    assert found["payload"]["attempt"] == said["attempt"]
    assert [row["event"] for row in found["payload"]["audit"]] == EVENTS
    assert found["payload"]["trail"]["anchored"]["seq"] == len(EVENTS)
    file.write_text(ended.command("evidence", "--attempt", said["attempt"]["id"], key).stdout)
    assert key in command("evidence", "verify", str(file), "--key", str(pem)).stdout
    jwks = tmp_path / "keys.json"
    jwks.write_text(json.dumps(alice.json("evidence", "public-key")))
    assert command("evidence", "verify", str(file), "--key", str(jwks)).returncode == 0


def test_a_file_says_what_it_cannot_vouch_for(ended: Any, command: Any, tmp_path: Path) -> None:
    """It was made while no head of the trail was kept, or a receipt's body is not in the trail; it is a file still."""
    file, pem = tmp_path / "attempt.jws", tmp_path / "public.pem"
    pem.write_text(ended.command("evidence", "public-key").stdout)

    def shown() -> str:
        file.write_text(ended.command("evidence", str(ended.key)).stdout)
        done = command("evidence", "verify", str(file), "--key", str(pem))
        assert done.returncode == 0
        return " ".join(done.stdout.split())

    alone, unheard = "exported without the head that Vault keeps", "what these receipts said when they were written: "
    assert alone in shown()
    keep_head(ended)
    assert (alone in shown(), unheard in shown()) == (False, False)
    by_force(ended, "UPDATE audit SET detail = detail - 'sha256' WHERE event = 'receipt.written'")
    rows = [row.entry for row in ended.ports.trail.entries()]
    for row in chain(GENESIS, rows):
        by_force(ended, f"UPDATE audit SET prev = '{row.prev}', hash = '{row.hash}' WHERE seq = {row.seq}")  # noqa: S608  ours
    forget_head(ended)
    keep_head(ended)
    assert f"{unheard}register" in shown()


def test_a_lost_head_is_kept_anew_by_an_operator(ended: Any) -> None:
    """Nobody else does that: the watch tells, an approver may not, a person's own token cannot write to Vault."""
    look_after(ended)
    assert ended.command.json("audit", "verify")["sound"] is True
    forget_head(ended)
    assert "was kept in Vault before" in ended.command.json("audit", "verify", code=3)["unknown"]
    alone, bob = as_operator(ended), ended.as_("bob")
    assert bob.json("audit", "verify", "--anchor", code=1)["error"] == "NotPermittedError"
    assert alone.json("audit", "verify", "--anchor", code=1)["error"] == VendorRefusedError.__name__
    said = ended.as_("alice").json("audit", "verify", "--anchor")
    assert (said["sound"], said["anchored"]["seq"]) == (True, len(EVENTS) + 1)
    last = ended.command.json("audit")[-1]
    assert (last["event"], last["key"], last["detail"]["name"]) == ("trail.anchored", "", "userpass-alice")
    assert ended.command.json("audit", "verify")["sound"] is True
    again = ended.as_("alice").json("audit", "verify", "--anchor", code=1)
    assert (again["error"], "is kept in Vault already" in again["problem"]) == ("RefusedError", True)


def test_a_changed_file_is_refused(ended: Any, command: Any, tmp_path: Path) -> None:
    """Exit 1 for the file; exit 2 when what was given cannot be read, or is no key."""
    file, pem = tmp_path / "attempt.jws", tmp_path / "public.pem"
    text = ended.command("evidence", str(ended.key)).stdout
    pem.write_text(ended.command("evidence", "public-key").stdout)
    file.write_text(text.replace(".", ".A", 1))
    assert command.json("evidence", "verify", str(file), "--key", str(pem), code=1)["error"] == "RefusedError"
    assert command.json("evidence", "verify", str(file), "--key", str(file), code=2)["subject"] == "public key"
    assert command.json("evidence", "verify", "nowhere", "--key", str(pem), code=2)["subject"] == "nowhere"


def test_an_attempt_that_is_none_cannot_be_exported(ended: Any) -> None:
    """Something that is no id is a mistake in usage; an id that nobody has is refused; so is a word that is no key."""
    key = str(ended.key)
    assert ended.command.json("evidence", key, "--attempt", "first", code=2)["subject"] == "--attempt"
    other = "00000000-0000-0000-0000-000000000000"
    assert ended.command.json("evidence", key, "--attempt", other, code=1)["error"] == "RefusedError"
    assert "is not a key" in ended.command.json("evidence", "verfiy", code=2)["problem"]
    assert ended.command("evidence").returncode == 2


def test_only_operators_and_keyturn_itself_sign(ended: Any) -> None:
    """An approver's token is refused by Vault."""
    bob = as_operator(ended).having(VAULT_TOKEN=ended.servers.openbao.login("bob"))
    assert bob.json("evidence", str(ended.key), code=1)["error"] == VendorRefusedError.__name__
