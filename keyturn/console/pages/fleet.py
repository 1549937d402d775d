"""The fleet: every integration, and pictures of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from keyturn.console import pictures as drawn
from keyturn.console.render import page
from keyturn.console.visitor import ports_of
from keyturn.domain.fleet import MOST_GRACES, FleetHealth, FleetQuery, FleetSort, FleetState
from keyturn.domain.health import Cause
from keyturn.errors import ConfigurationError

router = APIRouter()

_Word = TypeVar("_Word", bound=StrEnum)
_NARROWING = ("text", "state", "health", "cause", "group")
_NAMES = (*_NARROWING, "sort", "after")
_LONGEST = 400  # no word, key or place in a list is longer


@router.get("/")
def fleet(request: Request) -> Response:
    """The fleet, as its address asks for it."""
    ports, asked = ports_of(request), _asked(request.query_params)
    query = _query(asked)
    pictures = ports.fleet.pictures()
    now = ports.clock.now()
    return page(
        request,
        "fleet.html",
        asked=asked,
        narrowed=any(asked[name] for name in _NARROWING),
        query=query,
        found=ports.fleet.search(query),
        pictures=pictures,
        ages=drawn.ages(pictures),
        history=drawn.history(pictures),
        times=drawn.times(pictures),
        graces=drawn.graces(pictures, now),
        most_graces=MOST_GRACES,
        address=_Address(asked),
        choices={"state": FleetState, "health": FleetHealth, "cause": Cause, "sort": FleetSort},
    )


class _Address:
    """Addresses of this page that differ from the present one in something; a change begins the list anew."""

    def __init__(self, asked: Mapping[str, str]) -> None:
        self._kept = {name: value for name, value in asked.items() if name != "after"}

    def __call__(self, **changes: str) -> str:
        merged = {name: value for name, value in (self._kept | changes).items() if value}
        return f"/?{urlencode(merged)}" if merged else "/"


def _asked(given: Mapping[str, str]) -> dict[str, str]:
    """What the address names; empty parts restrict nothing, and unknown ones are left out."""
    asked = {name: given.get(name, "").strip() for name in _NAMES}
    for name, value in asked.items():
        if len(value) > _LONGEST or not value.isprintable():
            raise ConfigurationError(f"{name} in the address", "is too long, or no text", "Choose in the form instead.")
    return asked


def _query(asked: Mapping[str, str]) -> FleetQuery:
    state, health = _word(FleetState, "state", asked), _word(FleetHealth, "health", asked)
    return FleetQuery(
        asked["text"],
        frozenset({state} if state else ()),
        frozenset({health} if health else ()),
        _word(Cause, "cause", asked),
        asked["group"],
        _word(FleetSort, "sort", asked) or FleetSort.URGENCY,
        asked["after"],
    )


def _word(kind: type[_Word], name: str, asked: Mapping[str, str]) -> _Word | None:
    """One of a list of words, or none.

    Raises:
        ConfigurationError: another word.
    """
    given = asked[name]
    if given and given not in list(kind):
        raise ConfigurationError(
            f"{name} in the address", f"{given!r} is none", f"Give one of: {', '.join(kind)}; or none at all."
        )
    return kind(given) if given else None
