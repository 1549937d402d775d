"""What waits for the person who looks."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
