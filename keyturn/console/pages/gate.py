"""A gate: what is asked, and answering it."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
