"""How often somebody may try to log in."""

import time
from contextlib import closing

import pytest
from redis import Redis
from support.callback import Callback, callback
from support.login import BEHIND, browser, is_in, log_in
from support.page import PASSWORD, Person, page_settings, token_in

from pushlane.callback.page.login import WINDOW_S, WrongPasswords
from pushlane.callback.page.sessions import Sessions
from pushlane.callback.page.tries import ALL_BURST, ALL_MS, OWN_BURST, OWN_MS, try_login
from pushlane.keys import PAGE_PREFIX
from pushlane.operators.audit import read_audit
from pushlane.scripts import Script

NOW = 1_700_000_000_000


def attempt(redis: Redis, address: str, at: int) -> int:
    """How long a try from this address, so many ms later, has to wait."""
    allowances = (OWN_MS, OWN_BURST, ALL_MS, ALL_BURST)
    wait: int = Script("try_login").call(redis, PAGE_PREFIX, NOW + at, address, *allowances)
    return wait


def test_an_address_has_a_few_tries_and_then_a_pace(redis: Redis) -> None:
    """What is refused is not counted, so whoever goes on trying does not wait longer."""
    assert [attempt(redis, "a", 0) for _ in range(OWN_BURST)] == [0] * OWN_BURST
    assert [attempt(redis, "a", at) for at in (0, 1, OWN_MS - 1)] == [OWN_MS, OWN_MS - 1, 1]
    assert [attempt(redis, "a", at) for at in (OWN_MS, OWN_MS, 2 * OWN_MS)] == [0, OWN_MS, 0]
    assert attempt(redis, "b", 0) == 0
    assert attempt(redis, "a", 100 * OWN_MS) == 0


def test_all_addresses_have_a_pace_together(redis: Redis) -> None:
    """Guesses from a thousand addresses are slow; what they wait for is not longer than a second."""
    waits = [attempt(redis, f"a{number}", 0) for number in range(1000)]
    assert waits == [0] * ALL_BURST + [ALL_MS] * (1000 - ALL_BURST)
    assert [attempt(redis, "new", at) for at in (ALL_MS - 1, ALL_MS, ALL_MS)] == [1, 0, ALL_MS]
    assert len(redis.keys(f"{PAGE_PREFIX}login:*")) == ALL_BURST + 1


def test_an_address_that_has_proven_itself_is_not_locked_out_by_others(redis: Redis) -> None:
    """Only by its own wrong tries, until somebody logs in there."""
    held = Sessions(redis, lambda: PASSWORD)
    held.open("anna", "office")
    for number in range(ALL_BURST):
        try_login(redis, f"a{number}")
    assert try_login(redis, "elsewhere") > 0
    assert [try_login(redis, "office") for _ in range(OWN_BURST)] == [0] * OWN_BURST
    assert try_login(redis, "office") > 0
    held.open("anna", "office")
    assert try_login(redis, "office") == 0


def test_a_step_of_the_clock_locks_nobody_out(redis: Redis) -> None:
    """A day back is at most the wait of somebody who has used all tries."""
    for _ in range(OWN_BURST):
        attempt(redis, "a", 86_400_000)
    assert attempt(redis, "a", 0) <= OWN_MS


def test_few_of_many_wrong_passwords_are_written_down() -> None:
    """Else they would push all acts out of the audit."""
    now = 0.0
    wrong = WrongPasswords(lambda: now)
    assert [count for _ in range(1000) if (count := wrong.worth_noting())] == [1, 10, 100, 1000]
    now = WINDOW_S + 1
    assert wrong.worth_noting() == 1


@pytest.mark.alone
def test_a_thousand_wrong_passwords_are_slow_and_lock_nobody_out(site: Callback, redis: Redis) -> None:
    """From as many addresses: few are compared, and then the right one is taken within the second that is promised."""
    with closing(Person(site.url)) as known, browser(site.url, "198.51.100.1") as attacker:
        token = token_in(attacker.get("/login"))
        form = {"csrf": token, "name": "x", "password": "wrong"}
        started = time.monotonic()
        answers = [
            attacker.post("/login", data=form, headers={"X-Forwarded-For": f"203.0.{number // 250}.{number % 250}"})
            for number in range(1000)
        ]
        took_s = time.monotonic() - started
        compared = [one.status_code for one in answers].count(403)
        print(f"{compared} of 1,000 were compared in {took_s:.1f} s, {1000 / took_s:.0f} a second were answered")  # noqa: T201 # a figure
        assert {one.status_code for one in answers} == {403, 429}
        # The one who is known has made a try of the burst.
        assert ALL_BURST - 1 <= compared <= ALL_BURST + took_s + 1
        refused = next(one for one in answers if one.status_code == 429)
        assert (refused.headers["retry-after"], "Try again in 1 s" in refused.text) == ("1", True)
        assert log_in(known).status_code == 303, "a proven address does not wait"
        with browser(site.url, "192.0.2.77") as operator:
            time.sleep(int(refused.headers["retry-after"]))
            assert log_in(operator).status_code == 303
            assert is_in(operator)
    assert len(redis.keys(f"{PAGE_PREFIX}login:*")) < ALL_BURST + took_s + 10
    wrong = [one for one in read_audit(redis, 1000) if one.result.startswith("wrong")]
    assert len(wrong) <= 3


def test_processes_count_together(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A second process is no second allowance."""
    folder = tmp_path_factory.mktemp("two")
    with callback(folder, redis_url, page_settings(folder) | BEHIND, workers=2) as at:
        statuses = []
        for _ in range(OWN_BURST + 3):
            with browser(at.url) as one:  # a connection of its own, which either process may accept
                statuses.append(log_in(one, "wrong").status_code)
        assert statuses == [403] * OWN_BURST + [429] * 3
        with browser(at.url, "192.0.2.2") as other:
            assert log_in(other, PASSWORD).status_code == 303
