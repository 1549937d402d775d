"""How long stages take, and how much of that people were waited for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from keyturn.domain.attempt import ROTATION_STAGES, STAGES, Stage
from keyturn.domain.fleet import StageTimes

_WINDOW = timedelta(days=90)
_MOST_RECEIPTS = 5000
_ORDER: Sequence[Stage] = tuple(dict.fromkeys((*STAGES, *ROTATION_STAGES)))
# A stage begins where the one before it ended, and people were waited for while a question to them was open.
_TIMES = text(
    """
    WITH newest AS (SELECT attempt_id FROM receipts WHERE at > :since ORDER BY at DESC LIMIT :most),
    steps AS MATERIALIZED (
        SELECT r.attempt_id, r.stage, r.at AS ended, coalesce(
            lag(r.at) OVER (PARTITION BY r.attempt_id ORDER BY r.at, array_position(CAST(:stages AS text[]), r.stage)),
            attempts.started_at
        ) AS began
        FROM receipts AS r JOIN attempts ON attempts.id = r.attempt_id AND attempts.digest = r.digest
        WHERE r.attempt_id IN (SELECT attempt_id FROM newest) AND r.stage = ANY (:stages)
    ),
    timed AS MATERIALIZED (
        SELECT stage, extract(epoch FROM ended - began) AS whole,
            coalesce(sum(extract(epoch FROM least(decided_at, ended) - greatest(opened_at, began)))
                FILTER (WHERE gates.id IS NOT NULL), 0) AS human
        FROM steps LEFT JOIN gates ON gates.attempt_id = steps.attempt_id
            AND groups <> '{}' AND decided_at > began AND opened_at < ended
        WHERE ended > :since GROUP BY steps.attempt_id, stage, began, ended
    )
    SELECT stage, count(*) AS times, percentile_cont(0.5) WITHIN GROUP (ORDER BY least(human, whole)) AS human,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(whole - human, 0)) AS machine
    FROM timed GROUP BY stage
    """
)


def stage_times(connection: Connection, now: datetime) -> list[StageTimes]:
    """The stages of an onboarding and of a rotation, in their order, by the last 5,000 receipts of 90 days."""
    asked = {"since": now - _WINDOW, "most": _MOST_RECEIPTS, "stages": [stage.value for stage in _ORDER]}
    found = {row.stage: row for row in connection.execute(_TIMES, asked)}
    rows = [(stage, found[stage]) for stage in _ORDER if stage in found]
    return [StageTimes(stage, float(row.human), float(row.machine), row.times) for stage, row in rows]
