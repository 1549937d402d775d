"""One attempt: its timeline, its log, its evidence."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
