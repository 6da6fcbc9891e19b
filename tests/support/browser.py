"""A real browser: Debian's chromium, driven by Playwright, which must not bring its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

from playwright.sync_api import ViewportSize, sync_playwright
from support.page import NAME, PASSWORD
from support.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]
WIDE, NARROW = 1280, 390
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, without a screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def tab(browser: Browser, url: str, *, width: int = WIDE, scheme: Scheme = "light", csp: bool = True) -> Iterator[Page]:
    """A tab of a browser that knows nothing; its addresses begin with ``url``. It may ignore the CSP."""
    size = ViewportSize(width=width, height=800)
    context = browser.new_context(base_url=url, viewport=size, color_scheme=scheme, bypass_csp=not csp)
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def log_in(page: Page, name: str = NAME) -> None:
    """As a person does, with name and password."""
    page.goto("/")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")


def overflow(page: Page) -> int:
    """How many pixels of the page are beyond its right edge."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide
