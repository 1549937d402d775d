"""An attempt as a signed file to be downloaded, the same from its page and from the API."""

from __future__ import annotations

from starlette.responses import Response

from keyturn.domain.attempt import Attempt
from keyturn.services import evidence, trail
from keyturn.wiring import Ports

MEDIA_TYPE = "application/jose"


def evidence_file(ports: Ports, attempt: Attempt) -> Response:
    """The file. The whole audit trail is followed for it, so it may take a while.

    Raises:
        RefusedError: the trail, or what the ledger says of the attempt, is not as it was written.
    """
    verified = trail.verify(ports.trail, lambda: ports.anchor)
    payload = evidence.collect(ports.ledger, ports.trail, ports.clock, verified, attempt.key, attempt.id)
    name = f"evidence-{attempt.key.tenant}-{attempt.key.environment}-{str(attempt.id)[:8]}.jws"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(evidence.sign(ports.signer, payload), headers=headers, media_type=MEDIA_TYPE)
