"""StackOne's webhooks: they only hasten what looking would find.

====================================  ======  =========================================================
what comes                            answer
====================================  ======  =========================================================
no signing secret is set              403     whatever was sent: nobody could tell whose it is
larger than 64 kB                     413     read no further; 408 when it takes longer than ten seconds
signed with none of the two secrets   401     truncated, forged or another project's
signed, and cannot be read            400
signed, and sent too long ago         409     or in the future: a replay
an event that is not about accounts   200     ignored
a repetition                          200     ignored
everything else                       200     `{"hastened": n}`, how many integrations are looked at sooner
====================================  ======  =========================================================

StackOne sends again what was answered with a 5xx, and nothing else; none of the refusals above becomes right by being
sent again. A delivery that we were away for, and that comes again after more than a quarter of an hour, is refused as
well, and nothing is lost by it: by then the watch has looked by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from keyturn.clients.stackone.webhook import SIGNATURE, event_of, is_signed
from keyturn.console.visitor import NotSignedInError, ports_of
from keyturn.errors import NotPermittedError
from keyturn.services.hasten import Hastening
from keyturn.settings import ConsoleSettings
from keyturn.wiring import Ports

router = APIRouter()

LARGEST = 64 * 1024
_PATIENCE_S = 10.0
_HANG_UP = {"Connection": "close"}  # otherwise the rest would still be taken, and thrown away
_log = logging.getLogger(__name__)


@router.post("/webhooks/stackone")
async def stackone(request: Request) -> dict[str, int]:
    """Take an event. It is read and verified as it came, before anything is made of it."""
    ports = ports_of(request)
    secrets = _secrets(ports.settings.console)
    if not secrets:
        raise NotPermittedError("webhooks", "are switched off here", "Set KEYTURN_CONSOLE__WEBHOOK_SECRET to use them.")
    body = await _body(request)
    if not is_signed(body, request.headers.get(SIGNATURE, ""), secrets):
        raise NotSignedInError(
            "this webhook",
            "is not signed with a secret that is known here",
            "Compare KEYTURN_CONSOLE__WEBHOOK_SECRET with the signing secret in StackOne; nothing was done.",
        )
    return {"hastened": await run_in_threadpool(_hastened, ports, body)}


def _secrets(settings: ConsoleSettings) -> list[SecretStr]:
    return [s for s in (settings.webhook_secret, settings.webhook_secret_next) if s.get_secret_value()]


async def _body(request: Request) -> bytes:
    """The raw body, as long as it is a sane one. Its length is counted: what the header says may be a lie."""
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "is larger than any webhook", _HANG_UP)
    except TimeoutError:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "came too slowly", _HANG_UP) from None
    except ClientDisconnect:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "broke off") from None
    return bytes(body)


def _hastened(ports: Ports, body: bytes) -> int:
    event = event_of(body)
    if event is None:
        return 0
    hastening = Hastening(ports.ledger, ports.observatory, ports.runs, ports.visits, ports.clock)
    keys = hastening.take(event, hashlib.sha256(body).hexdigest())
    _log.info("%s hastens %s", event.name, ", ".join(map(str, keys)) or "nothing")
    return len(keys)
