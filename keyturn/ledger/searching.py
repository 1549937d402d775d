"""A list of integrations: how it is restricted, how it is sorted, and where its next page begins.

A page is found by comparing rows with the last one of the page before, on an index for each order, so that the
hundredth page costs what the first does.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from keyturn.domain.fleet import FleetHealth, FleetQuery, FleetRow, FleetSort, FleetState
from keyturn.domain.health import Cause
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError
from keyturn.ledger.fleet_tables import standings
from keyturn.ledger.tables import LAST_LOOK, integrations

_SHOWN = [column for column in standings.c if column.name not in {"tags", "parts", "groups"}]
_LOOKED_AT = integrations.c.checked_at, LAST_LOOK.label("last_look")
_SMALL = range(100)
_LONGEST_PART = 3
_MOST = 200

_Read = Callable[[Any], object]
_COLUMNS: Mapping[FleetSort, tuple[ColumnElement[Any], ...]] = {
    FleetSort.URGENCY: (standings.c.rank, standings.c.since, standings.c.key),
    FleetSort.KEY: (standings.c.key,),
    FleetSort.AGE: (standings.c.turned_at, standings.c.key),
    FleetSort.DUE: (standings.c.due_at, standings.c.key),
    FleetSort.CHECKED: (LAST_LOOK, integrations.c.key),
}
_LISTED = select(*_SHOWN)
_LOOKED_THROUGH = select(*_SHOWN, *_LOOKED_AT).join(integrations, integrations.c.key == standings.c.key)


def tags_of(row: FleetRow) -> list[str]:
    """All that a row can be found by, but its key."""
    said = [_of_state(row.state), _of_health(row.health), *map(_of_cause, row.causes)]
    groups = [_of_group(group) for waiting in row.waiting for group in waiting.groups]
    return sorted({*said, *groups})


def parts_of(key: str) -> list[str]:
    """All parts of a key up to three letters: who looks for a longer one looks for all that are in it."""
    sizes = range(1, _LONGEST_PART + 1)
    return sorted({key[n : n + size] for size in sizes for n in range(len(key) - size + 1)})


def found_by(query: FleetQuery) -> Select[Any]:
    """The rows of a page, and one more to know whether there is a next one.

    Raises:
        ConfigurationError: `after` is no `next` of a list in this order.
    """
    order = _COLUMNS[query.sort]
    asked = (_LOOKED_THROUGH if query.sort is FleetSort.CHECKED else _LISTED).where(*_restrictions(query))
    if query.after:
        values = [literal(value, column.type) for value, column in zip(_read(query), order, strict=True)]
        asked = asked.where(tuple_(*order) > tuple_(*values))
    page = asked.order_by(*order).limit(size_of(query) + 1)
    return page if query.sort is FleetSort.CHECKED else _with_looks(page, order)


def waiting_for(groups: Sequence[str], limit: int) -> Select[Any]:
    """The rows that wait for one of these groups, the most urgent first."""
    order = _COLUMNS[FleetSort.URGENCY]
    return _with_looks(_LISTED.where(_any_of(map(_of_group, groups))).order_by(*order).limit(limit), order)


def one(key: IntegrationKey) -> Select[Any]:
    """The row of one integration."""
    return _LOOKED_THROUGH.where(standings.c.key == str(key))


def size_of(query: FleetQuery) -> int:
    """How many rows a page holds at most."""
    return min(max(query.limit, 1), _MOST)


def finds_nothing(query: FleetQuery) -> bool:
    """Whether no integration can be meant. PostgreSQL refuses some of what can be typed."""
    return not (query.text.strip() + query.group).isprintable()


def place_of(row: Row[Any], sort: FleetSort) -> str:
    """The place of a row in a list, as text that only `found_by` reads."""
    places: Mapping[FleetSort, tuple[object, ...]] = {
        FleetSort.URGENCY: (row.rank, row.since.isoformat()),
        FleetSort.KEY: (),
        FleetSort.AGE: (row.turned_at.isoformat(),),
        FleetSort.DUE: (row.due_at.isoformat(),),
        FleetSort.CHECKED: (row.last_look.isoformat(),),
    }
    body = json.dumps([sort.value, *places[sort], row.key], separators=(",", ":"))
    return urlsafe_b64encode(body.encode()).decode().rstrip("=")


def _with_looks(page: Select[Any], order: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """A page with what changes too often to be kept in it: when each integration was looked at."""
    rows = page.subquery("page")
    again = [rows.c[str(column.key)] for column in order]
    return select(rows, *_LOOKED_AT).join(integrations, integrations.c.key == rows.c.key).order_by(*again)


def _restrictions(query: FleetQuery) -> Iterable[ColumnElement[bool]]:
    text = query.text.strip().lower()
    if text:
        within = [text[n : n + _LONGEST_PART] for n in range(max(1, len(text) - _LONGEST_PART + 1))]
        yield standings.c.parts.contains(literal(within, ARRAY(Text)))
        yield standings.c.key.contains(text, autoescape=True)
    if query.cause:
        yield _any_of([_of_cause(query.cause)])
    if query.group:
        yield _any_of([_of_group(query.group)])
    for any_of in (map(_of_state, query.states), map(_of_health, query.healths)):
        if wanted := sorted(any_of):
            yield _any_of(wanted)


def _any_of(tags: Iterable[str]) -> ColumnElement[bool]:
    wanted: ColumnElement[bool] = standings.c.tags.overlap(literal(sorted(tags), ARRAY(Text)))
    return wanted


def _read(query: FleetQuery) -> list[object]:
    try:
        body = json.loads(urlsafe_b64decode(query.after + "=" * (-len(query.after) % 4)))
        sort, *values, key = body
        read = [read(value) for read, value in zip(_READS[query.sort], values, strict=True)]
        if sort == query.sort:
            return [*read, str(IntegrationKey.parse(key))]
    except (ConfigurationError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        pass  # it is what somebody has typed, or a place in another list
    raise ConfigurationError(
        "after", f"is no place in a list sorted by {query.sort}", "Take it from the page before, or leave it out."
    )


def _rank(value: object) -> int:
    if type(value) is not int or value not in _SMALL:
        raise ValueError(value)
    return value


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError(value)
    return moment.astimezone(UTC)


_READS: Mapping[FleetSort, tuple[_Read, ...]] = {
    FleetSort.URGENCY: (_rank, _moment),
    FleetSort.KEY: (),
    FleetSort.AGE: (_moment,),
    FleetSort.DUE: (_moment,),
    FleetSort.CHECKED: (_moment,),
}


def _of_state(state: FleetState) -> str:
    return f"state:{state}"


def _of_health(health: FleetHealth) -> str:
    return f"health:{health}"


def _of_cause(cause: Cause) -> str:
    return f"cause:{cause}"


def _of_group(group: str) -> str:
    return f"group:{group}"
