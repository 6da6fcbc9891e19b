"""Every view in a real browser: for everybody (axe), on a phone, in light and dark, and full of hostile text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from support.browser import NARROW, WIDE, Scheme, log_in, overflow, tab
from support.channels import register
from support.page import decide
from support.queue import Queue, settle

from pushlane import Hold, Producer, RoomMessage
from pushlane.enqueue_protocol import message_id_of
from pushlane.keys import channel_prefix
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page
    from redis import Redis
    from support.callback import Callback

pytestmark = pytest.mark.programs

HOSTILE = "\"><script>pwned=1</script><img src=x onerror=pwned=1>'\u202e{{7*7}}"
NAME = '"><script>pwned=1</script>'
KEY = HOSTILE.replace("\u202e", "")
SHOWN = HOSTILE.replace("\u202e", "\\u202e")
DEAD, BLOCKED, LONG = "d" * 32, "b" * 32, "long" * 60
CHANNEL = "/channels/support"


@dataclass(frozen=True)
class Shown:
    """A view: how to get there, and whether it shows the hostile text."""

    go: Callable[[Page], object]
    hostile: bool = True


def at(path: str, *, hostile: bool = True) -> Shown:
    """The view at this address."""
    return Shown(lambda page: page.goto(path), hostile)


def pressed(path: str, button: str, *, hostile: bool = True) -> Shown:
    """What a button of the page at this address leads to."""

    def go(page: Page) -> None:
        page.goto(path)
        with page.expect_navigation():
            page.get_by_role("button", name=button).first.click()

    return Shown(go, hostile)


VIEWS = {
    "channels": at("/"),
    "channels, one hidden": at("/?name=sup&by=waiting&live=1"),
    "channel": at(CHANNEL),
    "paused": pressed(CHANNEL, "Pause"),
    "blocked": at(f"{CHANNEL}/blocked"),
    "not skipped": pressed(f"{CHANNEL}/blocked", "Skip"),
    "dead letters": at(f"{CHANNEL}/dead"),
    "dead letters of a reason": at(f"{CHANNEL}/dead?reason=rejected"),
    "purge": pressed(f"{CHANNEL}/dead", f"Purge {DEAD}"),
    "preview": at(f"{CHANNEL}/dead/all?act=purge&reason=rejected", hostile=False),
    "progress": at(f"{CHANNEL}/dead/progress?live=1"),
    "unknown pushes": at(f"{CHANNEL}/unknown"),
    "message": at(f"{CHANNEL}/message?id={DEAD}"),
    "cancel": pressed(f"{CHANNEL}/message?id={'l' * 32}", "Cancel", hostile=False),
    "text": pressed(f"{CHANNEL}/message?id={DEAD}", "Show the text"),
    "held": at(f"{CHANNEL}/message?id={message_id_of('support', KEY)}"),
    "text of a held one": pressed(f"{CHANNEL}/message?id={message_id_of('support', KEY)}", "Show the text"),
    "no message": Shown(lambda page: page.goto(f"{CHANNEL}/message?id={_quoted(HOSTILE)}")),
    "found nothing": Shown(lambda page: page.goto(f"/find?id={_quoted(HOSTILE)}")),
    "find": at("/find", hostile=False),
    "decisions": at("/decisions"),
    "audit": at("/audit"),
    "no channel": at("/channels/nosuch", hostile=False),
}


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.fixture
def full(redis: Redis, redis_url: str) -> None:
    """A channel with something on each page, hostile wherever a person or an API may choose the words."""
    register(redis, "a_channel_with_the_longest_names")
    queue = Queue(redis, batch_limit=1, breaker_after=1000)
    text = json.dumps(HOSTILE).encode()
    queue.enqueue(HOSTILE, DEAD, body=text)
    queue.turn(settle(queue.turn().claims[0], Outcome.UNKNOWN, dead="1", reason="r", detail=HOSTILE), free=-1)
    queue.enqueue(HOSTILE, BLOCKED, body=text)
    queue.enqueue(LONG, "l" * 32, body=text)
    failed = [settle(one, Outcome.FAILED, wait_ms=60_000, dead="0", detail=HOSTILE) for one in queue.turn().claims]
    queue.turn(*failed, free=-1)
    with Producer(redis_url) as producer:
        held = Hold(HOSTILE, 600)
        producer.send("support", RoomMessage("held", HOSTILE, sender_eid=HOSTILE), idempotency_key=KEY, hold=held)
    going = ["act", "purge", "reason", "", "by", HOSTILE, "state", "going"]
    redis.hset(f"{channel_prefix('support')}bulk", items=[*going, "total", 9, "looked_at", 7, "found", 3, "done", 0])
    redis.expire(f"{channel_prefix('support')}bulk", 3600)
    gate = ["state", "throttled", "reason", HOSTILE, "until", "4000000000000"]
    redis.hset(f"{channel_prefix('support')}gate", items=gate)
    for number in range(3):
        decide(redis, number, verdict="forbid", policy=HOSTILE, reason=HOSTILE, **{"from": HOSTILE}, to=LONG)
    decide(redis, 9, key=HOSTILE, message=HOSTILE)


@pytest.mark.usefixtures("full")
def test_no_text_from_outside_becomes_part_of_the_page(serving: Callback, browser: Browser) -> None:
    """Nothing runs and nothing is added even without the Content-Security-Policy: the text is there, as text."""
    with tab(browser, serving.url, csp=False) as page:
        log_in(page, NAME)
        for name, view in VIEWS.items():
            view.go(page)
            assert page.evaluate("typeof pwned") == "undefined", name
            assert page.evaluate("document.querySelectorAll('script, img, iframe, [onerror]').length") == 0, name
            seen = page.content() if name == "channels" else page.inner_text("main")
            assert not view.hostile or "onerror" in seen, name
            assert "\u202e" not in seen or name.startswith("text"), f"{name} turns the reading direction"
            assert page.get_by_text(NAME).count() >= (0 if name == "no channel" else 1), name
        page.goto(f"{CHANNEL}/message?id={DEAD}")
        assert SHOWN in page.inner_text("main")


@pytest.mark.usefixtures("full")
def test_the_policy_stops_scripts_by_itself(serving: Callback, browser: Browser) -> None:
    """If a text became part of the page one day, the browser would not run it."""
    with tab(browser, serving.url) as page:
        log_in(page)
        page.goto("/")
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=pwned=1>')")
        page.evaluate(
            "document.body.append(document.createRange().createContextualFragment('<script>pwned=1</script>'))"
        )
        page.wait_for_load_state("networkidle")
        assert page.evaluate("typeof pwned") == "undefined"


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_view_is_for_everybody(serving: Callback, browser: Browser, width: int, scheme: Scheme) -> None:
    """Axe finds nothing, contrast included, and no page is wider than the screen."""
    axe = Axe()
    problems = []
    with tab(browser, serving.url, width=width, scheme=scheme) as page:
        page.goto("/login")
        problems += _problems(axe, page, "login")
        log_in(page)
        for name, view in VIEWS.items():
            view.go(page)
            problems += _problems(axe, page, name)
            problems += [f"{name} is {overflow(page)} pixels too wide"] if overflow(page) else []
    assert not problems


def _problems(axe: Axe, page: Page, name: str) -> list[str]:
    found = axe.run(page).response["violations"]
    return [f"{name}: {one['id']}: {[node['html'][:120] for node in one['nodes']]}" for one in found]
