"""An operator at work in a real browser, while a real worker delivers to a stand-in for the API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support.browser import log_in, tab
from support.page import NAME, PASSWORD
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from support.callback import Callback

pytestmark = pytest.mark.programs
ROOMS = 150
POISON = "poison"


@pytest.fixture
def stack(redis_url: str, tmp_path: Path) -> Iterator[Stack]:
    """Ten pushes a second may go out; the API refuses one text until it is told otherwise."""
    with fake_api(reject_text=POISON) as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url, rate_limit="20/2s"))
        try:
            yield stack
        finally:
            stack.close()


def waiting(page: Page) -> int:
    """How many messages wait, as the page says."""
    shown = page.get_by_text("Messages waiting").locator("xpath=following-sibling::dd").inner_text()
    return int(re.sub(r"\D", "", shown.split("of")[0]))


def test_the_depth_falls_and_a_replayed_dead_letter_arrives(stack: Stack, serving: Callback, browser: Browser) -> None:
    """Seen on a page that updates itself; the letter is replayed with the button in its row."""
    stack.worker("-c", "1").ready()
    with Producer(stack.redis_url) as producer, tab(browser, serving.url) as page:
        bad = producer.send("support", RoomMessage("room-poison", POISON))
        producer.send_many("support", [RoomMessage(f"room-{number}", "hello") for number in range(ROOMS)])
        log_in(page)
        page.get_by_role("link", name="support").first.click()
        page.get_by_role("link", name="Update every 5 s").click()
        first = waiting(page)
        assert first > ROOMS // 2
        wait_until(lambda: 0 < waiting(page) < first, "the depth to fall")
        wait_until(lambda: waiting(page) == 0, "the queue to be empty", 60)
        page.get_by_role("link", name="Dead letters 1").click()
        stack.api.control(reject_text=None)
        page.get_by_role("button", name=f"Replay {bad.message_id}").click()
        page.get_by_text("1 dead letter is queued again.").wait_for()
        page.get_by_text("There are no dead letters.").wait_for()
        wait_until(lambda: stack.api.texts("room-poison") == [POISON], "the dead letter to arrive")
        assert stack.record().accepted == ROOMS + 1


def test_by_keyboard_alone(stack: Stack, serving: Callback, browser: Browser, redis_url: str) -> None:
    """Log in, skip to the content, find the dead letter and press its button; the focus can always be seen."""
    stack.worker("-c", "1").ready()
    with Producer(redis_url) as producer, tab(browser, serving.url) as page:
        bad = producer.send("support", RoomMessage("room-poison", POISON))
        stack.wait_for_state(producer, bad, "dead")
        stack.api.control(reject_text=None)
        page.goto("/")
        reach(page, "Your name, for the audit")
        page.keyboard.type(NAME)
        reach(page, "Password")
        page.keyboard.type(PASSWORD)
        with page.expect_navigation(url="**/"):
            page.keyboard.press("Enter")
        reach(page, "Skip to the content")
        page.keyboard.press("Enter")
        for name in ("support", "Dead letters 1"):
            reach(page, name)
            with page.expect_navigation():
                page.keyboard.press("Enter")
        reach(page, f"Select {bad.message_id}")
        reach(page, f"Replay {bad.message_id}")
        page.keyboard.press("Enter")
        page.get_by_text("1 dead letter is queued again.").wait_for()
        stack.wait_for_state(producer, bad, "delivered")


def reach(page: Page, name: str) -> None:
    """Presses Tab until the focus is on what has this name; each stop on the way can be seen."""
    passed = []
    for _ in range(80):
        page.keyboard.press("Tab")
        focus = page.evaluate(_FOCUS)
        passed.append(focus["name"])
        if focus["name"]:
            assert focus["visible"], f"the focus cannot be seen on {focus['name']!r}"
        if focus["name"] == name:
            return
    pytest.fail(f"Tab never reached {name!r}, but {passed}")


_FOCUS = """() => {
    const here = document.activeElement;
    if (!here || here === document.body) return {name: "", visible: true};
    const label = here.labels && here.labels.length ? here.labels[0].innerText || here.labels[0].textContent : "";
    const name = here.getAttribute("aria-label") || label || here.innerText || here.textContent;
    const style = getComputedStyle(here), box = here.getBoundingClientRect();
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    return {name: name.trim().replace(/\\s+/g, " "), visible: outlined && box.width > 0 && box.right > 0};
}"""
