from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.console import pictures as drawn
from keyturn.domain.attempt import Stage
from keyturn.domain.fleet import AGE_BOUNDS, FleetState, Pictures, StageTimes
from keyturn.domain.integration import IntegrationKey

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY_S = 86400.0


def test_every_span_of_ages_has_its_bar() -> None:
    """The tallest one fills the picture, the others are as tall as their share, and none of nothing is drawn."""
    ages = drawn.ages(Pictures(NOW, ages={7: 2, 30: 8, 0: 1}))
    heights = {bar.label: bar.height for bar in ages.bars}
    assert len(ages.bars) == len(AGE_BOUNDS)
    assert heights["≤ 30"] == 4 * heights["≤ 7"] > 0
    assert heights["≤ 60"] == 0
    assert heights["> 365"] > 0
    assert ages.count == 11


def test_bars_stand_on_the_ground_beside_each_other() -> None:
    """None overlaps another, hangs in the air, or leaves the picture."""
    ages = drawn.ages(Pictures(NOW, ages=dict.fromkeys(AGE_BOUNDS, 3)))
    for bar in ages.bars:
        assert bar.y + bar.height == pytest.approx(ages.ground, abs=0.2)
        assert 0 <= bar.x < bar.x + bar.width <= drawn.WIDTH
        assert bar.y > 0
    assert all(a.x + a.width < b.x for a, b in zip(ages.bars, ages.bars[1:], strict=False))


def test_a_single_old_secret_is_seen_beside_very_many() -> None:
    """A bar is never too low to be seen."""
    ages = drawn.ages(Pictures(NOW, ages={7: 10_000, 0: 1}))
    assert ages.bars[-1].height >= 2
    assert ages.bars[-1].says == "1 secret"


def test_states_are_stacked_without_a_gap() -> None:
    """Each area begins where the one below it ends, and the lowest one on the ground."""
    days = tuple((NOW + timedelta(days=n), dict.fromkeys(FleetState, n + 1)) for n in range(30))
    history = drawn.history(Pictures(NOW, history=days))
    lower = [(x, history.ground) for x, _ in _upper(history.areas[0])]
    for area in history.areas:
        assert _under(area) == lower
        lower = _upper(area)
    assert [area.count for area in history.areas] == [30] * 5
    assert _upper(history.areas[-1])[-1][0] == history.right


def test_days_on_which_nobody_counted_have_their_room() -> None:
    """Each count stands at its date, and the title counts the days from the first to the last."""
    days = tuple((NOW + timedelta(days=n), {FleetState.LIVE: 2}) for n in (0, 1, 9))
    history = drawn.history(Pictures(NOW, history=days))
    first, second, last = (x for x, _ in _upper(history.areas[0]))
    assert second - first == pytest.approx((last - first) / 9, abs=0.1)
    assert history.span == 10


def test_the_scale_holds_the_largest_day_and_is_easy_to_read() -> None:
    """Its upper end is a round number that nothing rises above."""
    days = ((NOW, {FleetState.LIVE: 61}), (NOW + timedelta(days=1), {FleetState.LIVE: 10}))
    history = drawn.history(Pictures(NOW, history=days))
    assert [tick.label for tick in history.ticks] == ["0", "50", "100"]
    assert min(y for area in history.areas for _, y in _corners(area)) >= history.ticks[-1].at


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_days_make_a_picture_too(count: int) -> None:
    """A console that runs since today shows today over the whole width; one that never counted shows nothing."""
    days = tuple((NOW + timedelta(days=n), {FleetState.LIVE: 3}) for n in range(count))
    history = drawn.history(Pictures(NOW, history=days))
    assert len(_corners(history.areas[0])) == (0 if count == 0 else 4)


def test_people_and_machine_are_drawn_on_one_scale() -> None:
    """The same time is as long for both; seconds are to be seen beside days; what took no time has no bar."""
    rows = (StageTimes(Stage.APPROVE, 3600.0, 3600.0, 5), StageTimes(Stage.PROMOTE, 0.0, 4.0, 2))
    approve, promote = drawn.times(Pictures(NOW, times=rows)).rows
    assert approve.human.width == approve.machine.width > promote.machine.width > 10
    assert (promote.human.width, promote.human.says) == (0, "none")
    assert approve.human.y < approve.machine.y < promote.human.y


def test_no_time_is_too_long_for_the_picture() -> None:
    """A stage that waited for half a year ends at the edge, and its words say how long it was."""
    (row,) = drawn.times(Pictures(NOW, times=(StageTimes(Stage.GONG_ADMIN, 180 * DAY_S, 0.01, 1),))).rows
    assert row.human.x + row.human.width <= drawn.WIDTH
    assert row.human.says == "180 d"
    assert row.machine.says == "< 1 s"


def test_a_grace_is_as_long_as_what_is_left_of_it() -> None:
    """The longest one fills its line, one that is over is empty, and the last day stands out."""
    ends = {"acme": 72, "globex": 18, "initech": -1}
    graces = tuple((IntegrationKey(name, "prod"), NOW + timedelta(hours=hours)) for name, hours in ends.items())
    running = {one.key.tenant: one for one in drawn.graces(Pictures(NOW, graces=graces), NOW)}
    assert {name: one.left for name, one in running.items()} == {"acme": 1, "globex": 0.25, "initech": 0}
    assert {name: one.is_short for name, one in running.items()} == {"acme": False, "globex": True, "initech": True}


def _corners(area: drawn.Area) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (corner.split(",") for corner in area.points.split())]


def _upper(area: drawn.Area) -> list[tuple[float, float]]:
    corners = _corners(area)
    return corners[: len(corners) // 2]


def _under(area: drawn.Area) -> list[tuple[float, float]]:
    corners = _corners(area)
    return corners[len(corners) // 2 :][::-1]
