"""Signed events about accounts, sent one after the other, and again when the receiver answers 5xx."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from keyturn.sandbox.twins.stackone.state import StackOneState, StoredAccount
from keyturn.sandbox.twins.store import Store

ATTEMPTS = 3
_PAUSE_SECONDS = 0.2


def sign(secret: str, body: bytes) -> str:
    """Unpadded base64url of the HMAC-SHA256 of the raw body: header `x-stackone-signature`."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Webhooks:
    """Events `account.created`, `account.updated` and `account.deleted`, to one URL; silent without one."""

    def __init__(self, store: Store[StackOneState], url: str | None, secret: str) -> None:
        self._store = store
        self._url = url
        self._secret = secret
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    def emit(self, event: str, account: StoredAccount) -> None:
        """Send an event about an account, soon."""
        if self._url is not None:
            self._queue.put_nowait(json.dumps(self._payload(event, account)).encode())

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send what is emitted, while the application lives."""
        sender = asyncio.create_task(self._send_all())
        try:
            yield
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender

    def _payload(self, event: str, account: StoredAccount) -> dict[str, str | None]:
        now = self._store.state.now().isoformat()
        public = account.public
        return {
            "project_id": self._store.state.project_id,
            "event": event,
            "event_date": now,
            "sent_at": now,
            "record_type": "account",
            "record_id": public.id,
            "account_id": public.id,
            "provider": public.provider,
            "origin_owner_id": public.origin_owner_id,
            "origin_owner_name": public.origin_owner_name,
            "origin_username": public.origin_username,
        }

    async def _send_all(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                delivered = await self._send(http, await self._queue.get())
                with self._store.change() as state:
                    state.count("webhooks_delivered" if delivered else "webhooks_failed")

    async def _send(self, http: httpx.AsyncClient, body: bytes) -> bool:
        headers = {"Content-Type": "application/json", "x-stackone-signature": sign(self._secret, body)}
        for attempt in range(1, ATTEMPTS + 1):
            with suppress(httpx.HTTPError):
                response = await http.post(self._url or "", content=body, headers=headers)
                if not response.is_server_error:
                    return response.is_success
            await asyncio.sleep(_PAUSE_SECONDS * attempt)
        return False
