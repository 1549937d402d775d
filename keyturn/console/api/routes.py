"""The JSON API, for programs and for commands on a machine without the ledger."""

from __future__ import annotations

from fastapi import APIRouter

from keyturn.console.api import acting, document, reading

router = APIRouter()
for part in (document, reading, acting):
    router.include_router(part.router)
