"""Which of several servers is asked, and for how long."""

import pytest

from pushlane.address import Node
from pushlane.asking import ANSWER_S, Asking

A, B, C, D = (Node(name, 1) for name in "abcd")


@pytest.fixture
def asking() -> Asking:
    """Knows three servers."""
    return Asking("none answers", [A, B, C], 3.0, {}, None)


def order(asking: Asking) -> list[Node]:
    """Whom it would ask, if none answered."""
    return [node for node, _ in asking._in_turn()]


def test_each_question_begins_with_another_server(asking: Asking) -> None:
    """One may hang, and its caller give up; one that was cut off tells what was once true."""
    assert order(asking) == [A, B, C]
    assert next(asking._in_turn())[0] == A
    assert order(asking) == [B, C, A]


def test_it_asks_those_that_it_hears_of_and_at_last_those_that_it_began_with(asking: Asking) -> None:
    """The nodes of a cluster may all change their addresses; those of the settings still lead to it."""
    assert next(asking._in_turn())[0] == A
    asking.learn([A, D])
    assert order(asking) == [D, A, B, C]


@pytest.mark.parametrize(("timeout", "each"), [(3.0, ANSWER_S), (0.3, 0.1)])
def test_none_of_them_takes_the_time_of_the_others(timeout: float, each: float) -> None:
    """Their caller waits no longer than that in all."""
    asking = Asking("none answers", [A, B, C], timeout, {}, None)
    assert [seconds for _, seconds in asking._in_turn()] == pytest.approx([each] * 3)
