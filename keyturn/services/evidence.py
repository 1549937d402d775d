"""Evidence: one attempt as a file that nobody can change, and that anybody can check without any server.

The file is a JSON Web Signature in its compact form (RFC 7515), signed by ES256.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from keyturn.domain.attempt import Attempt, AttemptState, Receipt, Stage
from keyturn.domain.gate import Decision, Gate
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.trail import AuditEntry, Chained, sha256_of, spelled
from keyturn.errors import ConfigurationError, RefusedError
from keyturn.ports import Clock, Ledger, PublicKey, Signer, Trail
from keyturn.services.trail import Verified

FORMAT = "keyturn-evidence/1"
_ALGORITHM, _CURVE, _TYPE = "ES256", "P-256", "keyturn-evidence"
_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\n?")
_VERDICTS = (Stage.TEST_CONNECTION, Stage.VERIFY)
_A_STEP = timedelta(minutes=1)  # a row of the trail is dated a moment after what it is about, before the same commit
_COMPARE = (
    "Somebody who can write to the database may have changed it: compare `keyturn audit show {key}` with the ledger's "
    "backups. If the attempt moved just now, export it again."
)
_ASK_AGAIN = "Do not rely on it: ask whoever gave it to you for the file as it was signed."
_KEY_REMEDY = "Give what `keyturn evidence public-key` prints."


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file's content, and the version of the key that vouches for it."""

    kid: str
    payload: Mapping[str, Any]


def collect(
    ledger: Ledger, trail: Trail, clock: Clock, verified: Verified, key: IntegrationKey, attempt_id: UUID | None
) -> dict[str, object]:
    """What is known of one attempt, as plain JSON: the newest ended one unless another is named.

    Receipts and decisions are in the file as the trail vouches for them, and dated by it: no chain protects their own
    tables. A receipt is `audited` if the trail knows its body, as it does since receipts are hashed there.

    Raises:
        RefusedError: there is no such attempt; the trail is not as it was written, and so proves nothing; or a receipt
            or a decision is not the one that the trail tells of.
    """
    if fault := verified.inspection.fault:
        raise RefusedError(str(key), f"its audit trail is no evidence: {fault.says}", "See `keyturn audit verify`.")
    attempt = _chosen(ledger, key, attempt_id)
    receipts = ledger.receipts(attempt.id)
    gates = [gate for gate in ledger.gates(key=key, only_open=False) if gate.attempt_id == attempt.id]
    rows = [row for row in trail.entries(key) if row.entry.attempt_id == attempt.id]  # last: they tell of all the above
    told = [row.entry for row in rows]
    return {
        "format": FORMAT,
        "exported_at": spelled(clock.now()),
        "key": str(key),
        "attempt": _attempt(attempt),
        "manifest": {"digest": attempt.digest, "scopes": list(ledger.manifest(attempt.digest).scopes)},
        "gates": [_gate(gate, told) for gate in gates],
        "receipts": [_receipt(key, receipt, told) for receipt in receipts],
        "verdict": next((dict(r.body) for stage in _VERDICTS for r in receipts if r.stage is stage), None),
        "audit": [_row(row) for row in rows],
        "trail": {
            "head": asdict(verified.inspection.head),
            "anchored": asdict(verified.anchored) if verified.anchored else None,
        },
    }


def sign(signer: Signer, payload: Mapping[str, object]) -> str:
    """The evidence file: the payload, signed by the newest version of the key."""
    newest = signer.public_keys()[-1]
    header = {"alg": _ALGORITHM, "kid": newest.kid, "typ": _TYPE}
    message = b".".join(_encoded(json.dumps(part, sort_keys=True).encode()) for part in (header, payload))
    made = b".".join((message, _encoded(signer.sign(message, newest.kid))))
    check(made, newest.pem)  # what leaves the house has been tried
    return made.decode()


def check(file: bytes, public: str) -> Evidence:
    """Check a file byte by byte against a public key. Needs no server and no settings.

    Args:
        file: as `sign` made it, with or without a line's end.
        public: what `published` gives: one key or several in PEM form, or a JWKS.

    Raises:
        RefusedError: the file is not what was signed, or not by this key.
        ConfigurationError: the public key is none.
    """
    keys = _keys(public)
    if not _COMPACT.fullmatch(file) or not all(_is_canonical(part) for part in file.rstrip(b"\n").split(b".")):
        raise _refused("is no evidence file, or was changed")
    header = _header(file)
    for key in keys:
        if not key.kid or key.kid == header["kid"]:
            try:
                signed = jws.deserialize_compact(file.rstrip(b"\n"), key, algorithms=[_ALGORITHM])
            except JoseError:
                continue
            return Evidence(header["kid"], json.loads(signed.payload))
    raise _refused(f"was changed, or was not signed by this key (it says: by {header['kid']})")


def published(keys: Sequence[PublicKey]) -> str:
    """Public keys as people hand them on: one in PEM form, several as a JWKS, whose `kid` tells them apart."""
    return keys[0].pem if len(keys) == 1 else jwks(keys)


def jwks(keys: Sequence[PublicKey]) -> str:
    """Public keys as a JSON Web Key Set."""
    uses = {"use": "sig", "alg": _ALGORITHM}
    made = [ECKey.import_key(key.pem).as_dict(private=False) | uses | {"kid": key.kid} for key in keys]
    return json.dumps({"keys": made}, indent=2) + "\n"


def _chosen(ledger: Ledger, key: IntegrationKey, attempt_id: UUID | None) -> Attempt:
    mine = ledger.attempts(key)
    if attempt_id is not None:
        found = next((attempt for attempt in mine if attempt.id == attempt_id), None)
        problem = f"has no attempt {attempt_id}"
    else:
        found = next((attempt for attempt in mine if attempt.state is not AttemptState.ACTIVE), None)
        problem = "has no attempt that has ended"
    if found is None:
        raise RefusedError(str(key), problem, "See `keyturn status`; name one with --attempt.")
    return found


def _attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "id": str(attempt.id),
        "kind": attempt.kind.value,
        "state": attempt.state.value,
        "halt": attempt.halt.value,
        "reason": attempt.reason,
        "started_at": spelled(attempt.started_at),
        "ended_at": spelled(attempt.ended_at) if attempt.ended_at else None,
        "requester": attempt.requester,
        "terms": asdict(attempt.terms),
    }


def _gate(gate: Gate, told: Sequence[AuditEntry]) -> dict[str, object]:
    return {
        "id": str(gate.id),
        "kind": gate.kind.value,
        "state": gate.state.value,
        "digest": gate.digest,
        "groups": list(gate.groups),
        "needed": gate.needed,
        "channel": gate.channel.value,
        "opened_at": spelled(gate.opened_at),
        "decided_at": spelled(gate.decided_at) if gate.decided_at else None,
        "reason": gate.reason,
        "decisions": _decisions(gate, told),
    }


def _decisions(gate: Gate, told: Sequence[AuditEntry]) -> list[dict[str, object]]:
    """The gate's decisions, one for each that the trail tells of, in the same order."""
    mine = [e for e in told if e.event == "gate.decided" and e.detail.get("gate") == str(gate.id)]
    if len(mine) != len(gate.decisions) or not all(map(_is_told, gate.decisions, mine)):
        raise _untold(gate.key, gate.kind, "the decisions at this gate are not those that the audit trail tells of")
    return [asdict(d) | {"at": spelled(entry.at)} for d, entry in zip(gate.decisions, mine, strict=True)]


def _is_told(decision: Decision, entry: AuditEntry) -> bool:
    who = (decision.person_id, decision.person_name, decision.signed_in)
    said = (decision.approved, decision.note, decision.digest)
    named = (entry.actor, entry.detail.get("name"), entry.signed_in)
    told = (entry.detail.get("approved"), entry.detail.get("note"), entry.digest)
    return (who, said) == (named, told) and _is_one_step(decision.at, entry.at)


def _receipt(key: IntegrationKey, receipt: Receipt, told: Sequence[AuditEntry]) -> dict[str, object]:
    """The receipt, if the newest thing that the trail tells of its stage is that just this one was written."""
    mine = [e for e in told if e.event.startswith("receipt.") and e.detail.get("stage") == receipt.stage]
    last = mine[-1] if mine else None
    if last is None or last.event != "receipt.written" or not _is_one_step(receipt.at, last.at):
        raise _untold(key, receipt.stage, "its receipt is not the one that the audit trail tells of")
    body = sha256_of(receipt.body)
    if last.detail.get("sha256", body) != body:
        raise _untold(key, receipt.stage, "its receipt does not say what it said when it was written")
    said = {"stage": receipt.stage.value, "at": spelled(last.at), "body": dict(receipt.body)}
    return said | {"audited": "sha256" in last.detail}


def _is_one_step(done: datetime, told: datetime) -> bool:
    return abs(told - done) <= _A_STEP


def _untold(key: IntegrationKey, what: str, problem: str) -> RefusedError:
    return RefusedError(f"{key} {what}", problem, _COMPARE.format(key=key))


def _row(row: Chained) -> dict[str, object]:
    return {**json.loads(row.text), "seq": row.seq, "prev": row.prev, "hash": row.hash}


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _is_canonical(part: bytes) -> bool:
    """Whether no other text decodes to the same: a last character may have bits that lenient decoders do not read."""
    try:
        return _encoded(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))) == part
    except ValueError:
        return False


def _header(file: bytes) -> dict[str, str]:
    try:
        header = json.loads(base64.urlsafe_b64decode(file.partition(b".")[0] + b"=="))
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.keys() != {"alg", "kid", "typ"} or header["typ"] != _TYPE:
        raise _refused("is no evidence file, or was changed")
    return header


def _keys(public: str) -> list[ECKey]:
    blocks: list[Any] = re.findall(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", public, re.DOTALL)
    try:
        keys = [ECKey.import_key(key) for key in blocks or json.loads(public)["keys"]]
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        keys = []
    if not keys or {key.curve_name for key in keys} != {_CURVE}:
        raise ConfigurationError("public key", f"is neither a PEM nor a JWKS with a key on {_CURVE}", _KEY_REMEDY)
    return keys


def _refused(problem: str) -> RefusedError:
    return RefusedError("evidence", problem, _ASK_AGAIN)
