from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey
from sqlalchemy import text

from keyturn.clients.vault.session import VaultSession
from keyturn.clients.vault.signer import VaultSigner
from keyturn.domain.attempt import AttemptState, Execution, Stage, Terms
from keyturn.domain.gate import GateKind, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.trail import sha256_of, text_of
from keyturn.errors import ConfigurationError, RefusedError, StageFailedError
from keyturn.ledger.trail import PostgresTrail
from keyturn.services.evidence import Evidence, check, collect, jwks, published, sign
from keyturn.services.trail import Verified, verify
from tests.fakes.anchor import FakeAnchor
from tests.fakes.signer import FakeSigner
from tests.services.fleet import Fleet
from tests.services.world import World

SIGNER = FakeSigner()
SMALL = sign(SIGNER, {"key": "acme/production", "note": "naïve ✓"}).encode()
PUBLIC = published(SIGNER.public_keys())
SAID = "gate_id, person_name, signed_in, approved, digest, note, at"


@pytest.fixture
def trail(engine_of: Callable[..., Any], ledger_url: str) -> PostgresTrail:
    """The trail of the ledger that all tests here share."""
    return PostgresTrail(engine_of(ledger_url))


@pytest.fixture
def verified(trail: PostgresTrail) -> Verified:
    """It was looked at."""
    return verify(trail, FakeAnchor)


def test_a_file_says_all_about_an_attempt(world: World, trail: PostgresTrail) -> None:
    """Digest, scopes, decisions with who and how, receipts, verdict, and the rows of the trail with their hashes."""
    world.completed()
    signer = VaultSigner(VaultSession(world.ports.settings.vault), world.ports.settings.vault)
    verified = verify(trail, FakeAnchor)
    file = sign(signer, collect(world.ports.ledger, trail, world.clock, verified, world.key, None))
    said: Any = check(file.encode(), published(signer.public_keys())).payload
    attempt = world.attempt
    assert (said["format"], said["key"]) == ("keyturn-evidence/1", str(world.key))
    assert said["exported_at"] == "2026-03-02T09:00:00.000000Z"
    assert (said["attempt"]["id"], said["attempt"]["state"]) == (str(attempt.id), "completed")
    assert said["attempt"]["requester"] == world.person("alice").id
    assert said["manifest"] == {"digest": attempt.digest, "scopes": ["api:users:read"]}
    (decision,) = next(gate for gate in said["gates"] if gate["kind"] == "approve")["decisions"]
    assert (decision["person_id"], decision["signed_in"]) == (world.person("bob").id, "vault token (userpass)")
    assert [receipt["stage"] for receipt in said["receipts"]] == [stage.value for stage in world.stages]
    assert {receipt["audited"] for receipt in said["receipts"]} == {True}
    written = {row["detail"]["stage"]: row["detail"] for row in said["audit"] if row["event"] == "receipt.written"}
    assert all(sha256_of(r["body"]) == written[r["stage"]]["sha256"] for r in said["receipts"])
    assert {layer["status"] for layer in said["verdict"].values()} == {"passed"}
    assert [row["event"] for row in said["audit"]] == world.events
    assert said["trail"]["head"]["hash"] == verified.inspection.head.hash
    assert said["trail"]["anchored"] is None
    for row in said["audit"]:
        assert hash_of(row) == row["hash"]


def hash_of(row: dict[str, Any]) -> str:
    """The hash of a row, from a file alone, as the documents describe it."""
    detail, at = json.dumps(row["detail"]), row["at"]
    said = {n: row[n] for n in ("key", "attempt_id", "actor", "signed_in", "event", "digest")}
    return hashlib.sha256(f"{row['seq']}\n{row['prev']}\n{text_of(at, said, detail)}".encode()).hexdigest()


def test_the_newest_ended_attempt_is_taken(world: World, trail: PostgresTrail, verified: Verified) -> None:
    """Unless another one is named: that may also be one under way, as it stands."""
    ports = world.ports

    def exported(*attempt_id: Any) -> Any:
        return collect(ports.ledger, trail, world.clock, verified, world.key, *(attempt_id or (None,)))["attempt"]

    world.to_approval()
    with world.refused(RefusedError, "has no attempt that has ended"):
        exported()
    assert exported(world.attempt.id)["state"] == "active"
    world.reject()
    with world.refused(StageFailedError):
        world.run()
    first = world.attempt.id
    world.start()
    assert world.attempt.id != first
    assert (exported()["id"], exported()["state"]) == (str(first), AttemptState.REJECTED.value)
    with world.refused(RefusedError, "has no attempt"):
        exported(uuid4())


def test_a_broken_trail_is_no_evidence(world: World, trail: PostgresTrail) -> None:
    """Nothing is signed that does not prove anything."""
    kept = FakeAnchor()
    world.to_approval()
    kept.moved.append(trail.head())
    kept.moved[-1] = type(kept.moved[-1])(kept.moved[-1].seq, "f" * 64)
    broken = verify(trail, lambda: kept)
    with world.refused(RefusedError, "audit trail is no evidence"):
        collect(world.ports.ledger, trail, world.clock, broken, world.key, world.attempt.id)


@pytest.fixture
def key(fleet: Fleet) -> IntegrationKey:
    """An integration with an onboarding that has ended, and a rotation under way."""
    key = fleet.onboarded("acme")
    run = fleet.turning(key)
    fleet.asked(run, GateKind.GONG_ROTATION)
    grace = Person("vault:entity/grace", "grace", frozenset({"gong_admin"}), "vault token (userpass)")
    with fleet.ledger.deciding(key, GateKind.GONG_ROTATION) as at:
        at.decide(grace, approved=True, digest=run.digest, note="clicked", answer={})
    with fleet.ledger.exclusive(run) as work:
        work.write_receipt(Stage.PREFLIGHT, {"window": "open", "large": 1e16, "small": 1e-7, "none": -0.0})
    return key


def run_of(fleet: Fleet, key: IntegrationKey) -> Execution:
    """The execution of the newest attempt."""
    attempt = fleet.attempt(key)
    return Execution(attempt.id, key, attempt.digest, attempt.fence)


def exported(fleet: Fleet, key: IntegrationKey) -> Any:
    """What would be signed of the newest attempt."""
    trail = PostgresTrail(fleet.engine)
    return collect(fleet.ledger, trail, fleet.clock, verify(trail, FakeAnchor), key, fleet.attempt(key).id)


def by_force(fleet: Fleet, statement: str) -> None:
    """What somebody can do who can write to the tables; the audit trail stays as it is."""
    with fleet.engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount


def test_what_was_done_as_the_trail_says_is_exported(fleet: Fleet, key: IntegrationKey) -> None:
    """Numbers that the ledger spells in another way are the same numbers, and dates are the trail's."""
    said = exported(fleet, key)
    (receipt,) = said["receipts"]
    assert (receipt["stage"], receipt["audited"], receipt["body"]["large"]) == ("preflight", True, 1e16)
    (decision,) = next(gate for gate in said["gates"] if gate["kind"] == "gong_rotation")["decisions"]
    assert (decision["person_name"], decision["at"]) == ("grace", "2026-03-02T09:00:00.000000Z")
    by_force(fleet, "UPDATE decisions SET at = at - interval '20 milliseconds'")
    by_force(fleet, "UPDATE receipts SET at = at - interval '20 milliseconds'")
    again = exported(fleet, key)
    assert (again["gates"][0]["decisions"], again["receipts"]) == ([decision], [receipt])


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE receipts SET body = body || '{\"window\": \"ignored\"}' WHERE stage = 'preflight'",
        "UPDATE receipts SET body = body - 'window' WHERE stage = 'preflight'",
        "UPDATE receipts SET body = body || '{\"none\": 0}' WHERE stage = 'preflight'",
        "UPDATE receipts SET at = at - interval '1 day' WHERE stage = 'preflight'",
        "UPDATE receipts SET stage = 'promote' WHERE stage = 'preflight'",
        "INSERT INTO receipts SELECT attempt_id, 'verify', digest, fence, '{}', at FROM receipts",
    ],
)
def test_a_receipt_that_is_not_as_it_was_written_is_not_signed(fleet: Fleet, key: IntegrationKey, harm: str) -> None:
    """The trail is sound, and the receipts' own table is protected by nothing: the stage is named, and what to do."""
    by_force(fleet, harm)
    stage = next((word for word in ("promote", "verify") if f"'{word}'" in harm), "preflight")
    with pytest.raises(RefusedError, match=f"acme/production {stage}: its receipt .*keyturn audit show acme/"):
        exported(fleet, key)


def test_a_receipt_that_was_taken_back_is_not_signed(fleet: Fleet, key: IntegrationKey) -> None:
    """Put into its place again, as it was."""
    by_force(fleet, "CREATE TABLE saved AS SELECT * FROM receipts")
    with fleet.ledger.exclusive(run_of(fleet, key)) as work:
        work.rewind([Stage.PREFLIGHT], "not so")
    assert exported(fleet, key)["receipts"] == []
    by_force(fleet, "INSERT INTO receipts SELECT * FROM saved WHERE stage = 'preflight'")
    with pytest.raises(RefusedError, match="acme/production preflight"):
        exported(fleet, key)


def test_a_receipt_that_was_written_twice_is_compared_with_the_second(fleet: Fleet, key: IntegrationKey) -> None:
    """After the first was taken back."""
    with fleet.ledger.exclusive(run_of(fleet, key)) as work:
        work.rewind([Stage.PREFLIGHT], "not so")
        work.write_receipt(Stage.PREFLIGHT, {"window": "closed"})
    (receipt,) = exported(fleet, key)["receipts"]
    assert (receipt["body"], receipt["audited"]) == ({"window": "closed"}, True)


def test_an_older_receipt_is_signed_and_said_not_to_be_audited(fleet: Fleet, key: IntegrationKey) -> None:
    """Its row in the trail is from before bodies were hashed there, so nothing can be compared."""
    run = run_of(fleet, key)
    by_force(
        fleet,
        "INSERT INTO receipts SELECT attempt_id, 'stage_secret', digest, fence, '{\"n\": 1}', at FROM receipts"
        " WHERE stage = 'preflight'",
    )
    with fleet.ledger.exclusive(run) as work:
        work.audit("receipt.written", {"stage": Stage.STAGE_SECRET})
    audited = {receipt["stage"]: receipt["audited"] for receipt in exported(fleet, key)["receipts"]}
    assert audited == {"preflight": True, "stage_secret": False}


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE decisions SET person_id = 'vault:entity/mallory'",
        "UPDATE decisions SET person_name = 'mallory'",
        "UPDATE decisions SET signed_in = 'vault token (root)'",
        "UPDATE decisions SET approved = false",
        "UPDATE decisions SET digest = repeat('f', 64)",
        "UPDATE decisions SET note = ''",
        "UPDATE decisions SET at = at + interval '1 hour'",
        "DELETE FROM decisions",
        f"INSERT INTO decisions (person_id, {SAID}) SELECT 'vault:entity/mallory', {SAID} FROM decisions",  # noqa: S608  ours
        "UPDATE decisions SET gate_id = (SELECT id FROM gates WHERE kind = 'proof')",
    ],
)
def test_a_decision_that_is_not_as_it_was_given_is_not_signed(fleet: Fleet, key: IntegrationKey, harm: str) -> None:
    """Whatever was changed of it; also one more, and one less."""
    fleet.asked(run_of(fleet, key), GateKind.PROOF)
    assert exported(fleet, key)["gates"]
    by_force(fleet, harm)
    with pytest.raises(RefusedError, match=r"acme/production gong_rotation: the decisions .*keyturn audit show acme/"):
        exported(fleet, key)


def test_several_decisions_at_a_gate_are_each_compared(fleet: Fleet) -> None:
    """Two people approve; a third answer to another question stays out of it."""
    run = fleet.turning(key := fleet.onboarded("globex"), Terms())
    with fleet.ledger.exclusive(run) as work:
        until = fleet.clock.now().replace(year=2027)
        work.open_gate(GateKind.APPROVE, Policy(2, ("approver",)), {}, until)
        work.open_gate(GateKind.PROOF, Policy(1, ("approver",)), {}, until)
    people = [Person(f"vault:entity/{n}", n, frozenset({"approver"}), "vault token") for n in ("bob", "carol", "dan")]
    for person, kind in zip(people, (GateKind.APPROVE, GateKind.PROOF, GateKind.APPROVE), strict=True):
        with fleet.ledger.deciding(key, kind) as at:
            at.decide(person, approved=True, digest=run.digest, note="", answer={})
    said = exported(fleet, key)
    assert [[d["person_name"] for d in gate["decisions"]] for gate in said["gates"]] == [["bob", "dan"], ["carol"]]
    by_force(fleet, "UPDATE decisions SET approved = false WHERE person_name = 'dan'")
    with pytest.raises(RefusedError, match="globex/production approve"):
        exported(fleet, key)


def refused(file: bytes, public: str = PUBLIC) -> bool:
    """Whether the file is refused; anything but a refusal in words is a fault of this test's."""
    try:
        check(file, public)
    except RefusedError:
        return True
    return False


def test_an_unchanged_file_is_accepted() -> None:
    """With and without a line's end, which `echo` and editors add."""
    for file in (SMALL, SMALL + b"\n"):
        assert check(file, PUBLIC) == Evidence("keyturn-evidence/1", {"key": "acme/production", "note": "naïve ✓"})
    assert not SMALL.endswith(b"\n")


@pytest.mark.parametrize("bit", range(8))
def test_every_changed_bit_is_found(bit: int) -> None:
    """Of every byte of the file, the line's end included (acceptance 7)."""
    file = SMALL + b"\n"
    changed = (file[:n] + bytes([file[n] ^ 1 << bit]) + file[n + 1 :] for n in range(len(file)))
    assert [n for n, other in enumerate(changed) if not refused(other)] == []


@given(place=st.integers(0, len(SMALL) - 1), byte=st.integers(0, 255))
def test_every_other_byte_is_found(place: int, byte: int) -> None:
    """Whatever stands there instead; also letters that decode to the same bytes."""
    changed = SMALL[:place] + bytes([byte]) + SMALL[place + 1 :]
    assert refused(changed) == (changed != SMALL)


def test_letters_that_decode_to_the_same_are_found() -> None:
    """The last letter of a part has bits that no decoder reads: each part is tried with every letter there."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    ends = [n for n in range(len(SMALL)) if SMALL[n + 1 : n + 2] in (b".", b"")]
    assert len(ends) == 3
    for end in ends:
        variants = [SMALL[:end] + bytes([letter]) + SMALL[end + 1 :] for letter in letters]
        assert [v for v in variants if not refused(v)] == [SMALL]


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file[:-1],
        lambda file: file + b"A",
        lambda file: file + b"\n\n",
        lambda file: file + b"\r\n",
        lambda file: b" " + file,
        lambda file: file.replace(b".", b"=.", 1),
        lambda file: file[: len(file) // 2],
        lambda file: file + b"." + file,
        lambda _: b"",
        lambda _: b"\xff\xfe",
        base64.b64encode,
    ],
)
def test_cut_and_lengthened_files_are_refused(change: Callable[[bytes], bytes]) -> None:
    """In words, and not by a crash."""
    assert refused(change(SMALL))


def test_another_key_is_refused_and_says_which_one_signed() -> None:
    """So that whoever checks can ask for the right one."""
    with pytest.raises(RefusedError, match="it says: by keyturn-evidence/1"):
        check(SMALL, published(FakeSigner().public_keys()))


def test_files_of_every_version_can_be_checked_after_a_rotation() -> None:
    """With the JWKS of all versions; and each version's own PEM checks its files alone."""
    signer = FakeSigner()
    old_pem, old_set = published(signer.public_keys()), jwks(signer.public_keys())
    old = sign(signer, {"n": 1}).encode()
    signer.rotate()
    new = sign(signer, {"n": 2}).encode()
    both = published(signer.public_keys())
    assert (check(old, both).kid, check(new, both).kid) == ("keyturn-evidence/1", "keyturn-evidence/2")
    assert check(old, old_pem) == check(old, old_set)
    assert refused(new, old_pem)
    assert refused(new, old_set)
    pems = "".join(key.pem for key in signer.public_keys())
    assert check(new, f"two keys\n{pems}").payload == {"n": 2}


def test_the_public_key_is_public() -> None:
    """What people hand on has nothing of the private part."""
    signer = FakeSigner()
    assert published(signer.public_keys()).startswith("-----BEGIN PUBLIC KEY-----\n")
    signer.rotate()
    for key in json.loads(published(signer.public_keys()))["keys"]:
        assert key.keys() == {"kty", "crv", "x", "y", "use", "alg", "kid"}


@pytest.mark.parametrize(
    "header", [{"alg": "HS256"}, {"alg": "none"}, {"typ": "JWT"}, {"crit": ["b64"]}, {"kid": None}]
)
def test_a_file_of_another_making_is_refused(header: dict[str, Any]) -> None:
    """Not even the public key taken for a shared secret, no algorithm at all, or our key on other papers."""
    full = {"alg": "ES256", "kid": "keyturn-evidence/1", "typ": "keyturn-evidence"} | header
    head, payload = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (full, {"a": 1}))
    message = head + b"." + payload
    by_us = SIGNER.sign(message, "keyturn-evidence/1")
    made = hmac.digest(PUBLIC.encode(), message, "sha256") if full["alg"] == "HS256" else by_us
    signature = base64.urlsafe_b64encode(made).rstrip(b"=")
    assert refused(message + b"." + signature)


def _other_curve() -> str:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "public",
    ["", "a key", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AAAA"}]}', "[]", _other_curve()],
)
def test_what_is_no_public_key_is_a_mistake_in_usage(public: str) -> None:
    """The file is not to blame."""
    with pytest.raises(ConfigurationError, match="public key"):
        check(SMALL, public)


def test_a_standard_library_can_check_it_too() -> None:
    """It is a plain JWS: nobody needs keyturn for it."""
    signed = jws.deserialize_compact(SMALL, ECKey.import_key(PUBLIC), algorithms=["ES256"])
    assert json.loads(signed.payload)["key"] == "acme/production"
