"""The chart of the last hour."""

from __future__ import annotations

from pushlane.callback.page.chart import HEIGHT, WIDTH, chart_of


def test_bars_are_as_high_as_their_share_of_the_largest() -> None:
    """Side by side, oldest first, standing on one line."""
    chart = chart_of([10, 0, 20, 5])
    assert [bar.height for bar in chart.bars] == [HEIGHT // 2, 0, HEIGHT, HEIGHT // 4]
    assert [bar.x for bar in chart.bars] == [0, WIDTH, 2 * WIDTH, 3 * WIDTH]
    assert {bar.y + bar.height for bar in chart.bars} == {HEIGHT}
    assert [bar.minutes_ago for bar in chart.bars] == [3, 2, 1, 0]
    assert (chart.total, chart.most, chart.width) == (35, 20, 4 * WIDTH)


def test_one_message_beside_a_million_can_be_seen() -> None:
    """Nothing looks like nothing, and only nothing does."""
    assert [bar.height for bar in chart_of([1, 1_000_000, 0]).bars] == [1, HEIGHT, 0]


def test_an_hour_without_any_has_no_bars() -> None:
    """It divides nothing by nothing."""
    assert [bar.height for bar in chart_of([0] * 60).bars] == [0] * 60
    assert chart_of([]).most == 0
