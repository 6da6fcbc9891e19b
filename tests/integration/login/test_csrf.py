"""Forms that no page of ours has sent, or not to this browser, change nothing and say so."""

from contextlib import closing

import httpx
from support.callback import Callback
from support.login import is_in, log_in
from support.page import NAME, PASSWORD, Person, token_in

from pushlane.callback.page import csrf


def assert_refused(answer: httpx.Response, status: int = 403) -> None:
    """On a page, in words, and without a cookie."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert 'class="problem"' in answer.text or 'class="notice' in answer.text
    assert "set-cookie" not in answer.headers


ELSEWHERE = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
]


def test_a_form_of_another_site_changes_nothing(site: Callback) -> None:
    """Even with the right token and cookie; the login form neither."""
    with closing(Person(site.url)) as person:
        form = {"csrf": token_in(person.get("/login")), "name": NAME, "password": PASSWORD}
        for headers in ELSEWHERE:
            assert_refused(person.post("/logout", data={"csrf": token_in(person.get("/"))}, headers=headers))
            assert_refused(person.post("/login", data=form, headers=headers))
            assert is_in(person)


def test_a_form_of_ours_is_taken_with_what_browsers_send(site: Callback) -> None:
    """Each of them, or nothing, as old ones do."""
    same = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}
    # A proxy may have changed Host: browsers do not let pages choose Sec-Fetch-Site.
    renamed = {"Origin": "https://page.example.com", "Sec-Fetch-Site": "same-origin"}
    for headers in ({}, same, {"Origin": site.url}, renamed):
        with closing(Person(site.url)) as person:
            assert person.post("/logout", data={"csrf": token_in(person.get("/"))}, headers=headers).status_code == 303


def test_a_token_belongs_to_one_session(site: Callback) -> None:
    """That of another person, of an earlier session, of the login form, none or two, is refused."""
    with closing(Person(site.url)) as thief, closing(Person(site.url)) as person:
        own = token_in(person.get("/"))
        stolen = token_in(thief.get("/"))
        assert stolen != own
        for form in (
            {"a": "b"},
            {"csrf": stolen},
            {"csrf": ""},
            {"csrf": token_in(person.get("/login"))},
            {"csrf": "ÿ" * 64},
        ):
            assert_refused(person.post("/logout", data=form))
        assert_refused(person.post("/logout", data={"csrf": [own, stolen]}))
        assert_refused(thief.post("/logout", data={"csrf": own}))
        assert is_in(person)
        log_in(person)
        assert_refused(person.post("/logout", data={"csrf": own}))
        assert is_in(person)


def test_a_login_form_belongs_to_one_browser(site: Callback) -> None:
    """So nobody can log somebody else in under another name (login CSRF)."""
    form = {"name": NAME, "password": PASSWORD}
    with httpx.Client(base_url=site.url) as victim, httpx.Client(base_url=site.url) as attacker:
        token = token_in(attacker.get("/login"))
        assert_refused(victim.post("/login", data=form | {"csrf": token}))
        victim.get("/login")
        assert_refused(victim.post("/login", data=form | {"csrf": token}))
        assert_refused(victim.post("/login", data=form))
        assert not is_in(victim)


def test_the_token_is_compared_whole() -> None:
    """A part of it is nothing."""
    token = csrf.token("a")
    assert csrf.fits("a", token)
    assert not any(csrf.fits("a", one) for one in (token[:-1], token.upper(), f"{token}0", "", None))
    assert not csrf.fits("b", token)
