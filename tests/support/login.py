"""Browsers at the page's login, each at an address of its own."""

from __future__ import annotations

import httpx
from support.page import NAME, PASSWORD, token_in

BEHIND = {"PUSHLANE_DASHBOARD__TRUSTED_PROXIES": "127.0.0.0/8"}
"""The test is the proxy that says where a browser is."""


def browser(url: str, address: str = "192.0.2.1", proto: str = "http") -> httpx.Client:
    """One that is not logged in."""
    return httpx.Client(base_url=url, headers={"X-Forwarded-For": address, "X-Forwarded-Proto": proto}, timeout=30)


def log_in(browser: httpx.Client, password: str = PASSWORD, name: str = NAME) -> httpx.Response:
    """The answer to the login form."""
    return browser.post("/login", data={"csrf": token_in(browser.get("/login")), "name": name, "password": password})


def is_in(browser: httpx.Client) -> bool:
    """Whether the browser sees the page, and not the login."""
    return browser.get("/").status_code == 200


def session_in(answer: httpx.Response) -> str:
    """The id of the session that a login has made."""
    assert answer.status_code == 303, answer.text
    return answer.headers["set-cookie"].partition("=")[2].partition(";")[0]


def with_session(browser: httpx.Client, session: str) -> httpx.Client:
    """The browser with this session's cookie and no other."""
    browser.cookies.clear()
    browser.cookies.set("pushlane", session)
    return browser
