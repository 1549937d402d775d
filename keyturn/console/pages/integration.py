"""One integration, and what can be done with it."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
