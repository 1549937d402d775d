"""One-time links from the command line, on a loopback address only."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
