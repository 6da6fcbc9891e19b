"""How the places of a process are shared, over every order of claims and ends."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane_worker.drains.capacity import Capacity

NAMES = ("one", "two", "three")
CLAIMS = st.tuples(st.just("claim"), st.sampled_from(NAMES))
ENDS = st.tuples(st.just("end"), st.sampled_from(NAMES))
DRAINS = st.tuples(st.sampled_from(["enter", "leave"]), st.sampled_from(NAMES))
STEPS = st.lists(CLAIMS | ENDS | DRAINS, max_size=60)
LIMITS = st.integers(1, 64)


class Process:
    """The places with what is claimed; of a channel's claims at most ``alone`` run, one a coroutine."""

    def __init__(self, limit: int, channels: int) -> None:
        self.capacity = Capacity(limit, channels)
        self.claimed = dict.fromkeys(NAMES, 0)
        self.drains: dict[str, list[ExitStack]] = {name: [] for name in NAMES}

    def step(self, what: str, name: str) -> None:
        """One step: claims all that is free, ends one, or a drain comes or goes."""
        if what == "claim":
            free = self.capacity.free(name)
            self.capacity.reserve(name, free)
            self.claimed[name] += free
        elif what == "end" and self.claimed[name]:
            self.capacity.release(name)
            self.claimed[name] -= 1
        elif what == "enter":
            stack = ExitStack()
            stack.enter_context(self.capacity.drain(name))
            self.drains[name].append(stack)
        elif what == "leave" and self.drains[name]:
            self.drains[name].pop().close()

    def running(self, name: str) -> int:
        """The most pushes of the channel that can be in flight now."""
        return min(self.claimed[name], self.capacity.alone)

    def others_drain(self, name: str) -> bool:
        """Whether another channel's drain is at work."""
        return any(stacks for other, stacks in self.drains.items() if other != name)


@given(LIMITS, STEPS)
def test_the_channels_together_never_run_more_pushes_than_the_limit(limit: int, steps: list[tuple[str, str]]) -> None:
    """MAX_IN_FLIGHT holds over all channels, whatever is claimed ahead."""
    process = Process(limit, len(NAMES))
    for what, name in steps:
        process.step(what, name)
        assert sum(process.running(each) for each in NAMES) <= limit


@given(LIMITS, STEPS)
def test_a_claim_never_brings_a_channel_above_half_while_another_one_drains(
    limit: int, steps: list[tuple[str, str]]
) -> None:
    """A busy channel leaves half of the places to the others that are at work; what it had before may end."""
    process = Process(limit, len(NAMES))
    for what, name in steps:
        before = process.running(name)
        process.step(what, name)
        if process.running(name) > before and process.others_drain(name):
            assert process.running(name) <= max(1, limit // 2)


@given(LIMITS, STEPS)
def test_what_is_free_is_never_negative_and_claims_stay_a_quarter_ahead(
    limit: int, steps: list[tuple[str, str]]
) -> None:
    """The script gets a count that makes sense, and no process hoards conversations that others could push."""
    process = Process(limit, len(NAMES))
    for what, name in steps:
        process.step(what, name)
        for each in NAMES:
            assert process.capacity.free(each) >= 0
            assert process.claimed[each] <= process.capacity.alone + limit // 4


@pytest.mark.parametrize(("limit", "reserve"), [(2, 1), (4, 1), (8, 1), (15, 1), (16, 2), (64, 8), (100, 12)])
def test_one_channel_of_several_leaves_an_eighth_for_the_others(limit: int, reserve: int) -> None:
    """When every push of the only busy channel hangs, a second channel still finds places."""
    process = Process(limit, channels=2)
    process.step("enter", "one")
    process.step("claim", "one")
    assert process.running("one") == limit - reserve
    process.step("enter", "two")
    process.step("claim", "two")
    assert process.running("two") == min(reserve, limit // 2)


@pytest.mark.parametrize("limit", [1, 4, 64])
def test_the_only_channel_has_every_place_and_claims_a_quarter_ahead(limit: int) -> None:
    """With nobody to share with nothing is held back, and a push that ends finds the next one waiting."""
    process = Process(limit, channels=1)
    process.step("enter", "one")
    process.step("claim", "one")
    assert process.running("one") == limit
    assert process.claimed["one"] == limit + limit // 4
    assert process.capacity.free("one") == 0
    process.step("end", "one")
    assert process.capacity.free("one") == 1


def test_two_busy_channels_get_half_each() -> None:
    """Neither the first nor the louder one wins."""
    process = Process(64, channels=2)
    for name in ("one", "two"):
        process.step("enter", name)
    for name in ("one", "two"):
        process.step("claim", name)
    assert (process.running("one"), process.running("two")) == (32, 32)


def test_three_busy_channels_get_a_third_each() -> None:
    """The share is even however many there are: nobody's two neighbours leave it nothing."""
    process = Process(64, channels=3)
    for name in NAMES:
        process.step("enter", name)
    for name in NAMES:
        process.step("claim", name)
    assert [process.running(name) for name in NAMES] == [21, 21, 21]
    process.step("leave", "three")
    assert [process.capacity.share(name) for name in ("one", "two")] == [32, 32]


def test_a_drain_that_left_gives_its_half_back() -> None:
    """Two drains of a channel count until the last one has left, also when one ends with an error."""
    capacity = Capacity(64, 2)
    with capacity.drain("two"):
        with pytest.raises(ValueError, match="over"), capacity.drain("two"):
            raise ValueError("over")
        assert capacity.share("one") == 32
        assert capacity.share("two") == 56
    assert capacity.share("one") == 56


def test_with_a_single_place_every_channel_may_wait_for_it() -> None:
    """MAX_IN_FLIGHT=1 lets nobody starve: the place goes to whoever claims when it is free."""
    process = Process(1, channels=2)
    process.step("enter", "one")
    process.step("enter", "two")
    process.step("claim", "one")
    assert process.capacity.free("two") == 0
    process.step("end", "one")
    assert process.capacity.free("two") == 1


def test_a_drain_that_waits_for_a_message_takes_no_share() -> None:
    """Channels that had a message a moment ago do not slow down one with a backlog."""
    capacity = Capacity(64, channels=2)
    with capacity.drain("idle"), capacity.drain("busy"):
        with capacity.waiting("idle"):
            assert capacity.share("busy") == capacity.alone
        assert capacity.share("busy") == 32
