"""StackOne's webhooks: they only hasten what looking would find."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
