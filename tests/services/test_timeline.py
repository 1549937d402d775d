from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Stage
from keyturn.domain.gate import Channel, Gate, GateKind, GateState
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.trail import AuditEntry
from keyturn.services.journey import Step, StepState
from keyturn.services.timeline import Span, Whose, timeline

KEY = IntegrationKey("acme", "production")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
DONE, NEXT, WAITING, STOPPED, LATER = StepState


def at(hours: float) -> datetime:
    """So many hours after the start."""
    return START + timedelta(hours=hours)


def hours(duration: timedelta) -> float:
    """A duration in hours."""
    return duration / timedelta(hours=1)


def step(stage: Stage, state: StepState = DONE, when: float | None = None) -> Step:
    """A stage, done or not."""
    return Step(stage, state, at(when) if when is not None else None, "")


def gate(kind: GateKind, opened: float, decided: float | None = None) -> Gate:
    """A question."""
    state = GateState.OPEN if decided is None else GateState.APPROVED
    closed = at(decided) if decided is not None else None
    return Gate(
        id=UUID(int=1),
        attempt_id=UUID(int=2),
        key=KEY,
        kind=kind,
        digest="d",
        requester=None,
        needed=1,
        groups=(),
        channel=Channel.KEYTURN,
        state=state,
        opened_at=at(opened),
        rearm_at=at(1000),
        decided_at=closed,
    )


def told(event: str, when: float) -> AuditEntry:
    """A row of the trail."""
    return AuditEntry(at(when), str(KEY), UUID(int=2), "system", "", event, "d", {})


def spans(
    steps: list[Step], gates: list[Gate], now: float, *events: AuditEntry, ended: float | None = None
) -> dict[Stage, Span]:
    """The timeline of a rotation at some moment."""
    ended_at = at(ended) if ended is not None else None
    state = AttemptState.ACTIVE if ended is None else AttemptState.ABANDONED
    attempt = Attempt(UUID(int=2), KEY, "d", None, state, 1, None, START, ended_at, kind=AttemptKind.ROTATION)
    return {span.step.stage: span for span in timeline(attempt, steps, gates, events, at(now))}


def test_a_stage_lasts_from_the_end_of_the_one_before() -> None:
    """What nobody was waited in is the machine's; a stage that goes on lasts until now; a later one has no time."""
    found = spans([step(Stage.PREFLIGHT, when=1), step(Stage.APPROVE, NEXT), step(Stage.VERIFY, LATER)], [], 3)
    assert (found[Stage.PREFLIGHT].began, found[Stage.PREFLIGHT].ended) == (START, at(1))
    assert (hours(found[Stage.PREFLIGHT].machine), hours(found[Stage.PREFLIGHT].human)) == (1, 0)
    assert (found[Stage.APPROVE].began, found[Stage.APPROVE].ended) == (at(1), None)
    assert hours(found[Stage.APPROVE].lasted) == 2
    assert (found[Stage.VERIFY].began, found[Stage.VERIFY].parts) == (None, ())


def test_people_are_waited_for_while_their_gate_is_open() -> None:
    """The time before a gate opens and after it closes is the machine's."""
    found = spans([step(Stage.APPROVE, when=10)], [gate(GateKind.APPROVE, 2, 9)], 20)
    assert [(p.whose, p.began, p.ended) for p in found[Stage.APPROVE].parts] == [
        (Whose.MACHINE, at(0), at(2)),
        (Whose.HUMAN, at(2), at(9)),
        (Whose.MACHINE, at(9), at(10)),
    ]


def test_an_open_gate_waits_until_now() -> None:
    """Two gates of a stage at once count once."""
    gates = [gate(GateKind.PROOF, 1, 4), gate(GateKind.PROOF, 3)]
    found = spans([step(Stage.VERIFY, WAITING)], gates, 6)
    assert (hours(found[Stage.VERIFY].human), hours(found[Stage.VERIFY].machine)) == (5, 1)


def test_the_end_of_a_grace_is_nobodys_work() -> None:
    """Waiting for a moment is told apart from waiting for people."""
    found = spans([step(Stage.RETIRE, WAITING)], [gate(GateKind.GRACE, 1)], 5)
    assert (hours(found[Stage.RETIRE].grace), hours(found[Stage.RETIRE].human)) == (4, 0)


def test_a_stage_done_again_takes_no_time_from_another() -> None:
    """A preflight that is looked at again after the approval did not wait for the approvers."""
    steps = [step(Stage.PREFLIGHT, when=8), step(Stage.APPROVE, when=8)]
    found = spans(steps, [gate(GateKind.APPROVE, 1, 8)], 9)
    assert (hours(found[Stage.PREFLIGHT].lasted), hours(found[Stage.PREFLIGHT].human)) == (1, 0)
    assert (hours(found[Stage.APPROVE].human), hours(found[Stage.APPROVE].machine)) == (7, 0)
    assert found[Stage.APPROVE].began == at(1)


def test_a_stage_that_was_undone_keeps_its_time() -> None:
    """What people were waited for before a rollback stays with its stage, which is to come again."""
    found = spans([step(Stage.VERIFY, LATER)], [gate(GateKind.PROOF, 2, 5)], 9)
    assert (found[Stage.VERIFY].began, hours(found[Stage.VERIFY].human)) == (at(2), 3)


def test_a_halted_rotation_waits_for_people() -> None:
    """From the halt until somebody lets it go on; the last one until now."""
    events = [told("rotation.orphaned", 2), told("rotation.resumed", 3), told("rotation.rolled_back", 5)]
    found = spans([step(Stage.APPLY, STOPPED)], [], 8, *events)
    assert (hours(found[Stage.APPLY].human), hours(found[Stage.APPLY].machine)) == (4, 4)


def test_an_attempt_that_ended_takes_no_more_time() -> None:
    """The stage at which it was abandoned lasts until then."""
    events = [told("rotation.orphaned", 2), told("attempt.abandoned", 4)]
    found = spans([step(Stage.APPLY, STOPPED)], [], 100, *events, ended=4)
    assert (found[Stage.APPLY].ended, hours(found[Stage.APPLY].lasted)) == (at(4), 4)
