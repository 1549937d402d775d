"""Live updates: server-sent events that say which integrations changed."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
