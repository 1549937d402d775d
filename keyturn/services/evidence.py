"""Evidence: one attempt as a file that nobody can change, and that anybody can check without any server.

The file is a JSON Web Signature in its compact form (RFC 7515), signed by ES256.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from keyturn.domain.attempt import Attempt, AttemptState, Receipt, Stage
from keyturn.domain.gate import Decision, Gate
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.trail import Chained, spelled
from keyturn.errors import ConfigurationError, RefusedError
from keyturn.ports import Clock, Ledger, PublicKey, Signer, Trail
from keyturn.services.trail import Verified

FORMAT = "keyturn-evidence/1"
_ALGORITHM, _CURVE, _TYPE = "ES256", "P-256", "keyturn-evidence"
_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\n?")
_VERDICTS = (Stage.TEST_CONNECTION, Stage.VERIFY)
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

    Raises:
        RefusedError: there is no such attempt, or the trail is not as it was written, and so proves nothing.
    """
    if fault := verified.inspection.fault:
        raise RefusedError(str(key), f"its audit trail is no evidence: {fault.says}", "See `keyturn audit verify`.")
    attempt = _chosen(ledger, key, attempt_id)
    receipts = ledger.receipts(attempt.id)
    rows = [_row(row) for row in trail.entries(key) if row.entry.attempt_id == attempt.id]
    return {
        "format": FORMAT,
        "exported_at": spelled(clock.now()),
        "key": str(key),
        "attempt": _attempt(attempt),
        "manifest": {"digest": attempt.digest, "scopes": list(ledger.manifest(attempt.digest).scopes)},
        "gates": [_gate(gate) for gate in ledger.gates(key=key, only_open=False) if gate.attempt_id == attempt.id],
        "receipts": [_receipt(receipt) for receipt in receipts],
        "verdict": next((dict(r.body) for stage in _VERDICTS for r in receipts if r.stage is stage), None),
        "audit": rows,
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


def _gate(gate: Gate) -> dict[str, object]:
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
        "decisions": [_decision(decision) for decision in gate.decisions],
    }


def _decision(decision: Decision) -> dict[str, object]:
    return asdict(decision) | {"at": spelled(decision.at)}


def _receipt(receipt: Receipt) -> dict[str, object]:
    return {"stage": receipt.stage.value, "at": spelled(receipt.at), "body": dict(receipt.body)}


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
