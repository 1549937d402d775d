"""How the watch left integrations, in a constant number of statements. Each function is part of an open transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    FromClause,
    FunctionElement,
    Over,
    Row,
    TableValuedAlias,
    Text,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from keyturn.domain.health import Cause, Condition, Health, Observation, Outcome, Subject
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger.fleet import among
from keyturn.ledger.tables import conditions, integrations, observations

_LOOKS = 1000  # at each subject: ten days of a look every quarter of an hour
_SUBJECTS = [subject.value for subject in Subject]


def healths(connection: Connection, keys: Sequence[str] | None = None) -> Mapping[IntegrationKey, Health]:
    """How the watch left all integrations, or those that are named and known."""
    checked = among(select(integrations.c.key, integrations.c.checked_at), integrations.c.key, keys)
    found = {row.key: row.checked_at for row in connection.execute(checked)}
    seen = _grouped(connection.execute(_newest(keys)).all())
    raised = _grouped(connection.execute(_raised(keys)).all())
    return {
        IntegrationKey.parse(name): Health(
            tuple(_observation_of(row) for row in seen.get(name, ())),
            tuple(condition_of(row) for row in raised.get(name, ())),
            checked_at,
        )
        for name, checked_at in found.items()
    }


def outcomes(connection: Connection, key: str) -> Mapping[Subject, Outcome]:
    """What each thing was found to be when it was looked at last."""
    return {Subject(row.subject): Outcome(row.outcome) for row in connection.execute(_newest([key]))}


def changes(connection: Connection, key: str, limit: int) -> list[Observation]:
    """The newest observations that differ from the one before of their subject, in outcome or cause."""
    subjects = _subjects()
    mine = observations.c.key == key, observations.c.subject == subjects.c.subject
    # One more than is told of: it is only what the oldest one is compared with.
    narrow = select(observations.c.id, observations.c.subject, observations.c.outcome, observations.c.cause)
    looks = narrow.where(*mine).order_by(observations.c.id.desc()).limit(_LOOKS + 1).lateral("looks")
    functions = func.lead(looks.c.outcome), func.lead(looks.c.cause), func.row_number()
    found, because, place = (_backwards(function, looks) for function in functions)
    rows = select(looks, found.label("found"), because.label("because"), place.label("place"))
    told = rows.select_from(subjects.join(looks, literal(True))).subquery("told")
    differs = or_(told.c.outcome.is_distinct_from(told.c.found), told.c.cause.is_distinct_from(told.c.because))
    asked = select(observations).join(told, told.c.id == observations.c.id).where(told.c.place <= _LOOKS, differs)
    newest = asked.order_by(observations.c.id.desc()).limit(limit)
    return [_observation_of(row) for row in connection.execute(newest)]


def without_any(connection: Connection, subjects: Collection[tuple[str, str]]) -> list[str]:
    """Of keys with names of subjects, the keys of those that have no observation (any more)."""
    pairs = [literal([pair[n] for pair in subjects], ARRAY(Text)) for n in (0, 1)]
    asked_for = func.unnest(*pairs).table_valued("key", "subject").render_derived("asked_for")
    mine = observations.c.key == asked_for.c.key, observations.c.subject == asked_for.c.subject
    left = select(observations.c.id).where(*mine).exists()
    return list(connection.execute(select(asked_for.c.key).distinct().where(~left)).scalars())


def condition_of(row: Row[Any]) -> Condition:
    """A row of `conditions`."""
    return Condition(Cause(row.cause), row.raised, row.against, row.since, row.evidence, row.remedy)


def _subjects() -> TableValuedAlias:
    named = func.unnest(literal(_SUBJECTS, ARRAY(Text))).table_valued("subject")
    return named.render_derived("subjects")


def _backwards(function: FunctionElement[Any], looks: FromClause) -> Over[Any]:
    """A function over the looks at each subject, the newest first."""
    return function.over(partition_by=looks.c.subject, order_by=looks.c.id.desc())


def _newest(keys: Sequence[str] | None) -> Any:  # noqa: ANN401  a select of all columns
    """The newest observation of each subject: one probe of the index for each, however many observations there are."""
    subjects = _subjects()
    mine = observations.c.key == integrations.c.key, observations.c.subject == subjects.c.subject
    last = select(observations).where(*mine).order_by(observations.c.id.desc()).limit(1).lateral("last")
    asked = select(last).select_from(integrations.join(subjects, literal(True)).join(last, literal(True)))
    return among(asked, integrations.c.key, keys)


def _raised(keys: Sequence[str] | None) -> Any:  # noqa: ANN401  as above
    asked = select(conditions).where(conditions.c.raised).order_by(conditions.c.since, conditions.c.cause)
    return among(asked, conditions.c.key, keys)


def _grouped(rows: Sequence[Row[Any]]) -> dict[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.key, []).append(row)
    return found


def _observation_of(row: Row[Any]) -> Observation:
    return Observation(
        Subject(row.subject),
        Outcome(row.outcome),
        row.evidence,
        row.at,
        Cause(row.cause) if row.cause else None,
        row.latency_ms,
    )
