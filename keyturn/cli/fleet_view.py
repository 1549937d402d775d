"""The fleet at a glance: a line each, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from keyturn.cli import showing

if TYPE_CHECKING:
    from keyturn.domain.health import Health
    from keyturn.domain.integration import IntegrationKey
    from keyturn.ports import Member
    from keyturn.wiring import Ports

_HEADINGS = ("integration", "attempt", "stage", "health", "secret", "next rotation", "checked")


@dataclass(frozen=True, slots=True)
class Line:
    """One integration of the fleet.

    Attributes:
        state: of the newest attempt, with its kind, e.g. `rotation awaiting_gong`.
        stage: the stage it is at, empty when all are done.
        age_days: days since the secret in use became that.
        due_at: when its next turn is due by the manifest's policy.
        waits_for: who must do what next; empty when nobody is asked.
    """

    member: Member
    health: Health
    state: str
    done: int
    total: int
    stage: str
    age_days: int | None
    due_at: datetime | None
    waits_for: str


def lines(ports: Ports) -> list[Line]:
    """The whole fleet, by a number of statements that does not grow with it."""
    from keyturn.domain.health import Health

    healths, now = ports.observatory.fleet(), ports.clock.now()
    return [_line(member, healths.get(member.key, Health()), now) for member in ports.observatory.members()]


def show(fleet: Sequence[Line]) -> None:
    """Print a line each, and below the table who is waited for: whole lines, so that commands can be copied."""
    showing.table(_HEADINGS, [_row(line) for line in fleet])
    for line in fleet:
        if line.waits_for:
            key, who = showing.plain(line.member.key), showing.plain(line.waits_for)
            showing.console().print(f"[bold]{key}[/] waits for {who}")


def as_json(fleet: Sequence[Line]) -> list[Mapping[str, object]]:
    """The same for programs."""
    return [_json(line) for line in fleet]


def _line(member: Member, health: Health, now: datetime) -> Line:
    from keyturn.domain.attempt import AttemptKind, stages_of
    from keyturn.domain.schedule import due_at
    from keyturn.services.journey import waits_for

    attempt, turned = member.attempt, member.turned_at
    stages = stages_of(attempt.kind if attempt else AttemptKind.ONBOARDING)
    left = [s for s in stages if s not in member.done]
    return Line(
        member,
        health,
        _state(member),
        len(stages) - len(left),
        len(stages),
        left[0].value if left else "",
        (now - turned).days if turned else None,
        due_at(member.key, member.rotation, turned) if turned and member.rotation else None,
        "; ".join(waits_for(gate, member.key) for gate in member.gates),
    )


def _state(member: Member) -> str:
    from keyturn.domain.attempt import AttemptKind
    from keyturn.domain.rotation import state_of

    attempt = member.attempt
    if attempt is None:
        return "never onboarded"
    if attempt.kind is AttemptKind.ROTATION:
        return f"rotation {state_of(attempt, member.done, {g.kind for g in member.gates})}"
    return f"{attempt.kind} {attempt.state}"


def _row(line: Line) -> tuple[str, ...]:
    return (
        showing.plain(line.member.key),
        line.state,
        f"{line.done}/{line.total} {line.stage}".strip(),
        _coloured(line.health),
        f"{line.age_days} d" if line.age_days is not None else "",
        f"{line.due_at:%Y-%m-%d}" if line.due_at else "",
        showing.when(line.health.checked_at),
    )


def _coloured(health: Health) -> str:
    colour = "red" if health.raised else {"ok": "green"}.get(health.words, "yellow")
    return f"[{colour}]{health.words}[/]"


def _json(line: Line) -> dict[str, object]:
    key: IntegrationKey = line.member.key
    attempt, health = line.member.attempt, line.health
    return {
        "key": str(key),
        "attempt": str(attempt.id) if attempt else None,
        "kind": attempt.kind.value if attempt else None,
        "state": attempt.state.value if attempt else None,
        "says": line.state,
        "halt": attempt.halt.value if attempt else "",
        "reason": attempt.reason if attempt else "",
        "digest": attempt.digest if attempt else None,
        "stage": line.stage,
        "stages_done": line.done,
        "stages": line.total,
        "health": health.words,
        "raised": [
            {"cause": c.cause.value, "since": c.since, "evidence": c.evidence, "remedy": c.remedy}
            for c in health.raised
        ],
        "secret_age_days": line.age_days,
        "next_rotation_at": line.due_at,
        "checked_at": health.checked_at,
        "waits_for": line.waits_for,
    }
