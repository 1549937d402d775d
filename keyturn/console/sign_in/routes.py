"""Sign-in at an OpenID provider, and sign-out."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
