"""Many people who look at many channels cost no more than one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

import pytest
import redis
from support.waiting import wait_until

from pushlane.callback.page import fleet
from pushlane.callback.page.fleet import FEW, KEPT_S, Fleet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.operators.actions import Operator

MANY = [f"c{number}" for number in range(FEW + 1)]


class Reader:
    """An operator that counts its reads; each waits until ``may_end`` is set."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.reads = 0
        self.may_end = threading.Event()
        self.may_end.set()

    def channels(self) -> Sequence[str]:
        """Their names."""
        return self.names

    def states(self, names: Sequence[str]) -> dict[str, int]:
        """The number of this read for each."""
        self.reads += 1
        assert self.may_end.wait(20)
        return dict.fromkeys(names, self.reads)


def look(at: Fleet, reader: Reader) -> int:
    """Which read somebody sees."""
    return cast("int", next(iter(at.states(cast("Operator", reader)).values())))


def test_many_channels_are_read_once_a_second() -> None:
    """Sooner if there are others."""
    now = 0.0
    shared, reader = Fleet(lambda: now), Reader(MANY)
    assert [look(shared, reader), look(shared, reader)] == [1, 1]
    now = KEPT_S + 0.1
    assert look(shared, reader) == 2
    reader.names = [*MANY, "another"]
    assert look(shared, reader) == 3


def test_few_channels_are_read_for_everybody() -> None:
    """That costs one round trip."""
    shared, reader = Fleet(), Reader(MANY[:FEW])
    assert [look(shared, reader), look(shared, reader)] == [1, 2]


def test_who_looks_meanwhile_sees_the_same_read() -> None:
    """One thread reads, and the others wait for it."""
    shared, reader = Fleet(), Reader(MANY)
    reader.may_end.clear()
    with ThreadPoolExecutor(4) as people:
        seen = [people.submit(look, shared, reader) for _ in range(4)]
        reader.may_end.set()
        assert [one.result() for one in seen] == [1] * 4


def test_a_read_that_hangs_holds_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for it is told that Redis does not answer."""
    monkeypatch.setattr(fleet, "TIMEOUT_S", 0.01)
    shared, reader = Fleet(), Reader(MANY)
    reader.may_end.clear()
    with ThreadPoolExecutor(1) as people:
        first = people.submit(look, shared, reader)
        try:
            wait_until(lambda: reader.reads == 1, "the first read")
            with pytest.raises(redis.TimeoutError):
                look(shared, reader)
        finally:
            reader.may_end.set()
        assert first.result() == 1


def test_a_read_that_fails_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one tries again."""
    shared, reader = Fleet(), Reader(MANY)

    with monkeypatch.context() as broken:
        broken.setattr(reader.may_end, "wait", Mock(side_effect=redis.ConnectionError))
        with pytest.raises(redis.ConnectionError):
            look(shared, reader)
    assert look(shared, reader) == 2
