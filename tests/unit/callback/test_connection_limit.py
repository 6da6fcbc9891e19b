"""Who goes when there are too many connections."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest
from support.waiting import wait_until_async

from pushlane.callback.http.connection_limit import ConnectionLimit

PROXY = "192.0.2.1"
MOST, EACH = 6, 4


class Held:
    """A connection that notes its end."""

    def __init__(self) -> None:
        self.known = False
        self.deadline = float("inf")
        self.ended = False

    def end(self) -> None:
        """As a transport's abort."""
        self.ended = True


@pytest.fixture
async def limit() -> ConnectionLimit:
    """Six in all, four of an address."""
    return ConnectionLimit(MOST, EACH, [ip_network(f"{PROXY}/32")])


def take(limit: ConnectionLimit, *hosts: str) -> list[Held]:
    """A connection from each, which have a place at first."""
    held = [Held() for _ in hosts]
    for one, host in zip(held, hosts, strict=True):
        assert limit.admit(one, host)
    return held


def ended(held: list[Held]) -> list[int]:
    """Which ones are."""
    return [number for number, one in enumerate(held) if one.ended]


async def test_an_address_makes_room_with_its_own(limit: ConnectionLimit) -> None:
    """Its oldest that waits."""
    held = take(limit, "a", "b", "a", "a", "a", "a")
    assert ended(held) == [0]


async def test_the_address_that_has_most_makes_room_for_all(limit: ConnectionLimit) -> None:
    """Not those that have few."""
    held = take(limit, "b", "a", "a", "a", "c", "d", "e")
    assert ended(held) == [1]


async def test_who_has_shown_a_secret_stays_longest(limit: ConnectionLimit) -> None:
    """Then the oldest of them goes."""
    held = take(limit, *"aabbcd")
    for one in (*held[:2], *held[3:]):
        limit.work(one)
        one.known = True
        limit.wait(one)
    held += take(limit, "e")
    assert ended(held) == [2]
    limit.work(held[-1])
    take(limit, "f")
    assert ended(held) == [0, 2]


async def test_who_is_answered_is_never_ended(limit: ConnectionLimit) -> None:
    """If all are, a newcomer is turned away, until one waits again."""
    held = take(limit, *"aabbcd")
    for one in held:
        limit.work(one)
    assert not limit.admit(Held(), "e")
    limit.wait(held[4])
    assert limit.admit(Held(), "e")
    assert ended(held) == [4]


async def test_one_address_never_has_all_places(limit: ConnectionLimit) -> None:
    """Also if each of its connections is answered."""
    for one in take(limit, *"aaaa"):
        limit.work(one)
    assert not limit.admit(Held(), "a")
    assert limit.admit(Held(), "b")


async def test_a_trusted_proxy_speaks_for_many(limit: ConnectionLimit) -> None:
    """It may have all places, and its connections go last."""
    held = take(limit, *[PROXY] * (MOST - 1), "a", "b")
    assert ended(held) == [MOST - 1]
    take(limit, "c")
    assert ended(held) == [MOST - 1, MOST]


async def test_a_network_of_ipv6_is_one_address(limit: ConnectionLimit) -> None:
    """Its holder chooses the rest of it."""
    held = take(limit, *(f"2001:db8::{number:x}" for number in range(EACH + 1)), "2001:db8:0:1::1")
    assert ended(held) == [0]


async def test_who_has_left_takes_no_place(limit: ConnectionLimit) -> None:
    """However often it says so."""
    held = take(limit, *"aaaabb")
    for one in (held[0], held[0], held[4]):
        limit.leave(one)
    held += take(limit, "a", "c")
    assert ended(held) == []


async def test_whose_time_is_over_is_ended(limit: ConnectionLimit) -> None:
    """Soon, and nobody else."""
    held = take(limit, *"ab")
    held[1].deadline = asyncio.get_running_loop().time()

    async def is_over() -> bool:
        return held[1].ended

    await wait_until_async(is_over, "its end")
    assert ended(held) == [1]
