"""Each alert fires in a real Prometheus that reads a real worker and callback, when its cause is there."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from support.command import pushlane
from support.monitoring_files import alerts, panel_expressions
from support.waiting import wait_until
from support.watched_fleet import FULL, REJECTED, RELAYED, STUCK, UNJUDGED, VICTIM, Fleet, watched_fleet

pytestmark = pytest.mark.programs

Cause = Callable[[Fleet], Iterator[None]]
"""Makes a cause; what would trouble other tests it undoes when the alert has fired."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for all tests: each has a channel of its own, or puts right what it has done."""
    with watched_fleet(tmp_path_factory.mktemp("fleet")) as started:
        yield started


def frozen_callback(fleet: Fleet) -> Iterator[None]:
    """It takes connections and answers nothing."""
    fleet.callback.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        fleet.callback.process.send_signal(signal.SIGCONT)


def killed_redis(fleet: Fleet) -> Iterator[None]:
    """Nobody can reach it."""
    with fleet.without_redis():
        yield


def queue_without_worker(fleet: Fleet) -> Iterator[None]:
    """The worker reads other queues than the one that this channel names."""
    fleet.send("lonely", "r")
    yield


def late_messages(fleet: Fleet) -> Iterator[None]:
    """Only one of them may be pushed within a minute."""
    fleet.send("late", "a", "b", "c")
    yield


def nearly_full(fleet: Fleet) -> Iterator[None]:
    """Nothing leaves this channel."""
    pushlane("channel", "pause", "small", redis_url=fleet.server.url).ok()
    fleet.send("small", *("r" for _ in range(FULL)))
    yield


def failing_policy(fleet: Fleet) -> Iterator[None]:
    """It raises for each message. A counter that is new has not increased, as far as Prometheus knows."""
    fleet.moderate(1, UNJUDGED)
    wait_until(lambda: fleet.prometheus.ask('pushlane_decisions_total{policy="on_error"}'), "the first to be read")
    fleet.moderate(2, UNJUDGED)
    yield


def failing_api(fleet: Fleet) -> Iterator[None]:
    """It answers 500."""
    fleet.send("broken", "a", "b", "c")
    yield


def throttling_api(fleet: Fleet) -> Iterator[None]:
    """It answers 429, with a Retry-After of a minute."""
    fleet.send("throttled", "a", "b", "c")
    yield


def failing_room(fleet: Fleet) -> Iterator[None]:
    """The API answers 503 for this one."""
    fleet.send(STUCK, STUCK)
    yield


def rejected_message(fleet: Fleet) -> Iterator[None]:
    """The API refuses what it says."""
    fleet.send("support", "r", text=REJECTED)
    yield


def killed_worker(fleet: Fleet) -> Iterator[None]:
    """SIGKILL in mid-push."""
    with fleet.worker(fleet.victim_port, "-Q", VICTIM) as process:
        fleet.send(VICTIM, VICTIM)
        wait_until(lambda: fleet.api.injected("stall"), "a push that hangs")
        os.killpg(process.pid, signal.SIGKILL)  # the pool process, which pushes, too
        process.wait()
    yield


def paused_channel(fleet: Fleet) -> Iterator[None]:
    """Somebody has paused it, and resumes it."""
    pushlane("channel", "pause", "paused", redis_url=fleet.server.url).ok()
    yield
    pushlane("channel", "resume", "paused", redis_url=fleet.server.url).ok()


def used_up_rate(fleet: Fleet) -> Iterator[None]:
    """The limit is one push a minute."""
    fleet.send("limited", "r")
    yield


def unregistered_channel(fleet: Fleet) -> Iterator[None]:
    """What moderation lets pass has nowhere to go."""
    fleet.moderate(3, RELAYED)
    yield


def spooled_decision(fleet: Fleet) -> Iterator[None]:
    """It is made while Redis is away."""
    with fleet.without_redis():
        fleet.moderate(4, "hello")
        yield


CAUSES: Final[list[tuple[str, Cause, dict[str, str]]]] = [
    ("PushlaneTargetsDown", frozen_callback, {"job": "pushlane-callback"}),
    ("PushlaneRedisAway", killed_redis, {}),
    ("PushlaneQueueNotConsumed", queue_without_worker, {"channel": "lonely", "queue": "nobody"}),
    ("PushlaneMessagesLate", late_messages, {"channel": "late"}),
    ("PushlaneChannelFilling", nearly_full, {"channel": "small"}),
    ("PushlaneModerationFailing", failing_policy, {}),
    ("PushlaneGateNotOpen", failing_api, {"channel": "broken"}),
    ("PushlaneGateNotOpen", throttling_api, {"channel": "throttled"}),
    ("PushlaneConversationBlocked", failing_room, {"channel": STUCK}),
    ("PushlaneDeadLetters", rejected_message, {"channel": "support", "reason": "rejected"}),
    ("PushlaneUnknownPushes", killed_worker, {"channel": VICTIM}),
    ("PushlanePaused", paused_channel, {"channel": "paused"}),
    ("PushlaneRateUsedUp", used_up_rate, {"channel": "limited"}),
    ("PushlaneDecisionsNotCarriedOut", unregistered_channel, {}),
    ("PushlaneSpoolNotEmpty", spooled_decision, {}),
]
"""Each alert, what makes it fire, and the labels that say where."""
PASSING: Final = {"PushlaneTargetsDown", "PushlaneRedisAway", "PushlanePaused", "PushlaneSpoolNotEmpty"}
"""Those whose cause is put right at the end."""


@pytest.mark.parametrize(("name", "cause", "labels"), CAUSES)
def test_an_alert_fires_while_its_cause_is_there(fleet: Fleet, name: str, cause: Cause, labels: dict[str, str]) -> None:
    """Not before it, and not after it, with a text without a gap."""
    assert not fleet.prometheus.firing(name, **labels)
    with contextlib.contextmanager(cause)(fleet):
        alert = wait_until(lambda: fleet.prometheus.firing(name, **labels), f"{name} to fire")
    assert alert
    for text in alert["annotations"].values():
        assert text
        assert "no value" not in text
        assert "error" not in text
    if name in PASSING:
        wait_until(lambda: not fleet.prometheus.firing(name, **labels), f"{name} to end")


def test_every_alert_has_its_cause_here() -> None:
    """And each of them is a rule."""
    assert {name for name, _, _ in CAUSES} == set(alerts())


def test_every_panel_of_the_dashboard_has_something_to_show(fleet: Fleet) -> None:
    """Its queries find series of a fleet that has pushed and moderated."""
    fleet.send("support", "r")
    fleet.moderate(5, "hello")

    def empty() -> list[str]:
        queries = (
            (title, one.replace("$__rate_interval", "1m").replace("$channel", ".*"))
            for title, one in panel_expressions()
        )
        return [title for title, query in queries if not fleet.prometheus.ask(query)]

    wait_until(lambda: not empty(), "all panels")
    assert not empty()
