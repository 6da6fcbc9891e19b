"""Logging in and out: what a session is, and when it is over."""

from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest
from redis import ConnectionError, Redis  # noqa: A004 # redis-py's
from support.callback import Callback, callback
from support.login import browser, is_in, log_in, session_in, with_session
from support.page import NAME, PASSWORD, Person, page_settings, text_of, token_in
from support.server_process import ServerProcess
from support.waiting import wait_until

from pushlane.callback.page import sessions
from pushlane.callback.page.sessions import IDLE_S, LONGEST_S, Sessions
from pushlane.keys import PAGE_PREFIX
from pushlane.operators.audit import read_audit

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def test_every_page_has_the_headers_that_keep_others_out(site: Callback) -> None:
    """Whatever its status: no script, no frame, no cache, no referrer elsewhere."""
    with browser(site.url) as one:
        answers = [
            one.get("/"),
            one.get("/login"),
            log_in(one, "wrong"),
            one.post("/logout"),
            log_in(one),
            one.get("/"),
        ]
        style = one.get(answers[1].text.partition('rel="stylesheet" href="')[2].partition('"')[0])
    assert [one.status_code for one in answers] == [303, 200, 403, 400, 303, 200]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in style.headers["cache-control"]


@pytest.mark.parametrize(("proto", "prefix", "secure"), [("http", "", False), ("https", "__Host-", True)])
def test_cookies_are_for_the_browser_alone(site: Callback, proto: str, prefix: str, secure: bool) -> None:  # noqa: FBT001 # a column
    """No script reads them, no other site sends them, and over https nothing else sets or sees them."""
    with browser(site.url, proto=proto) as one:
        first = one.get("/login").headers["set-cookie"]
        one.headers["Cookie"] = first.partition(";")[0]  # httpx sends no Secure cookie over http
        second = log_in(one).headers["set-cookie"]
    for cookie, name in ((first, "pushlane-login"), (second, "pushlane")):
        value, *attributes = cookie.split("; ")
        assert value.startswith(f"{prefix}{name}=")
        assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(attributes)
        assert ("Secure" in attributes) == secure
        assert not [one for one in attributes if one.startswith("Domain")]


def test_a_session_id_that_somebody_has_planted_becomes_no_session(site: Callback) -> None:
    """Each login makes a new one (fixation), and ends the one that the browser had."""
    planted = "A" * 43
    with browser(site.url) as one, browser(site.url) as other:
        one.cookies.set("pushlane", planted)
        first = session_in(log_in(one))
        assert first != planted
        second = session_in(log_in(with_session(one, first)))
        assert [is_in(with_session(other, each)) for each in (planted, first, second)] == [False, False, True]


def test_who_logs_out_is_out(site: Callback, redis: Redis) -> None:
    """Also with a copy of the cookie and of a form; the audit knows who came and went."""
    with closing(Person(site.url)) as person:
        cookie, token = person.cookies["pushlane"], token_in(person.get("/"))
        assert person.post("/logout", data={"csrf": token}).headers["location"] == "/login"
        person.cookies.set("pushlane", cookie)
        assert not is_in(person)
        assert person.post("/logout", data={"csrf": token}).status_code == 403
    entries = [(one.by, one.act, one.target, one.result) for one in read_audit(redis, 10)]
    assert entries == [
        (f"{NAME} (page)", "log out", "", "logged out"),
        (f"{NAME} (page)", "log in", "127.0.0.1", "logged in"),
    ]


def test_a_wrong_name_or_password_is_no_session(own_site: Callback, redis: Redis) -> None:
    """The form says which, and who is named by a wrong password is not written down."""
    with browser(own_site.url) as one:
        for name in ("", " ", "x" * 65, "a\nb", "a\x1bb", "\u3164", "Ann\u200da"):
            assert log_in(one, name=name).status_code == 422
        answer = log_in(one, "wrong")
        assert (answer.status_code, "The password is wrong." in answer.text) == (403, True)
        assert not is_in(one)
    (entry,) = read_audit(redis, 10)
    assert (entry.by, entry.target, entry.result) == ("somebody (page)", "192.0.2.1", "wrong password number 1")


def test_an_emoji_in_a_name_is_shown_whole(site: Callback) -> None:
    """Although a character that joins its parts cannot be seen."""
    name = "Anna 👩\u200d💻"
    with closing(Person(site.url, name)) as person:
        assert name in text_of(person.see("/"))
        assert f"{name} (page)" in text_of(person.see("/audit"))


def test_a_new_password_holds_at_once_and_ends_all_sessions(own_site: Callback, tmp_path: Path) -> None:
    """Without a restart; a file that is missing or too weak lets nobody in."""
    file = tmp_path / "page-password"
    with closing(Person(own_site.url)) as person, httpx.Client(base_url=own_site.url) as other:
        file.write_text("another-password\n")
        assert not is_in(person)
        assert log_in(other).status_code == 403
        assert log_in(other, "another-password").status_code == 303
        assert is_in(other)
        for problem in (lambda: file.write_text("short"), file.unlink):
            problem()
            assert other.get("/").status_code == 503
            answer = log_in(person, "short")
            assert (answer.status_code, "password file" in answer.text) == (503, True)
    wait_until(lambda: "at least 12 characters" in own_site.log.read_text(), "the log")


def test_a_session_ends_when_it_is_idle_and_in_any_case(site: Callback, redis: Redis) -> None:
    """Each request starts the idle time anew, but not the whole."""
    with closing(Person(site.url)) as person:
        (active,), (whole,) = redis.keys(f"{PAGE_PREFIX}active:*"), redis.keys(f"{PAGE_PREFIX}session:*")
        redis.expire(active, 5)
        redis.expire(whole, LONGEST_S // 2)
        assert is_in(person)
        assert IDLE_S - 60 < redis.ttl(active) <= IDLE_S
        assert redis.ttl(whole) <= LONGEST_S // 2
        redis.delete(active)
        assert not is_in(person)
    with closing(Person(site.url)) as person:
        redis.delete(*redis.keys(f"{PAGE_PREFIX}session:*"))
        assert not is_in(person)


def test_a_page_that_loads_itself_again_does_not_keep_its_session(site: Callback, redis: Redis) -> None:
    """Nobody need be there any more; a form that is sent from such a page is somebody's."""
    with closing(Person(site.url)) as person:
        (active,) = redis.keys(f"{PAGE_PREFIX}active:*")
        redis.expire(active, 60)
        for path in ("/?live=1", "/audit?live=1", "/decisions?live=1"):
            assert person.get(path).headers["refresh"] == "5"
        assert redis.ttl(active) <= 60
        person.post("/channels/nosuch/pause?live=1", data={"csrf": token_in(person.get("/?live=1"))})
        assert redis.ttl(active) > 60
        redis.delete(active)
        gone = person.get("/?live=1")
        assert (gone.status_code, gone.headers["location"], "refresh" in gone.headers) == (303, "/login", False)


def test_redis_can_make_no_session(site: Callback, redis: Redis) -> None:
    """It knows neither the id nor the password, and no key is made of the id alone."""
    with closing(Person(site.url)) as person:
        cookie = person.cookies["pushlane"]
    (session,) = redis.keys(f"{PAGE_PREFIX}session:*")
    known = repr((redis.keys("*"), redis.get(session)))
    assert NAME in known
    assert cookie not in known
    assert PASSWORD not in known


def test_sessions_are_bounded(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest one makes room."""
    monkeypatch.setattr(sessions, "MOST", 3)
    held = Sessions(redis, lambda: PASSWORD)
    ids = []
    for number in range(5):
        now = redis.time()
        wait_until(lambda: redis.time() > (now[0], now[1] + 1000), "the next millisecond")  # noqa: B023 # called at once
        ids.append(held.open(f"p{number}", "192.0.2.1"))
    assert [held.find(one) for one in ids] == [None, None, "p2", "p3", "p4"]
    assert len(redis.keys(f"{PAGE_PREFIX}session:*")) == 3


@pytest.mark.single_server("sets the memory limit of one")
def test_a_full_redis_lets_operators_in(site: Callback, redis: Redis) -> None:
    """Purging is what helps then, and it is written down."""
    redis.config_set("maxmemory", 1)
    try:
        with closing(Person(site.url)) as person:
            assert is_in(person)
            assert person.act("/logout").status_code == 303
    finally:
        redis.config_set("maxmemory", 0)
    assert [one.act for one in read_audit(redis, 10)] == ["log out", "log in"]


def test_processes_share_sessions(redis_url: str, tmp_path: Path) -> None:
    """Whichever answers, somebody who has logged in is in, and somebody who has logged out is out."""
    with callback(tmp_path, redis_url, page_settings(tmp_path), workers=2) as at, closing(Person(at.url)) as person:
        cookies = dict(person.cookies)
        seen = [
            httpx.get(f"{at.url}/", cookies=cookies).status_code for _ in range(20)
        ]  # each on a connection of its own
        assert seen == [200] * 20
        person.act("/logout")
        assert {httpx.get(f"{at.url}/", cookies=cookies).status_code for _ in range(20)} == {303}


def test_without_a_password_there_is_no_page(redis_url: str, tmp_path: Path) -> None:
    """The root is unknown, as it was."""
    keys = {"PUSHLANE_API_KEYS__A__KEY": "k", "PUSHLANE_API_KEYS__A__CHANNELS": "support"}
    with callback(tmp_path, redis_url, keys) as at:
        assert [httpx.get(f"{at.url}{path}").status_code for path in ("/", "/login")] == [404, 404]


def is_up(server: ServerProcess) -> bool:
    """Whether it answers."""
    with suppress(ConnectionError):
        return bool(server.client.ping())
    return False


def test_while_redis_is_away_the_page_says_so(tmp_path: Path) -> None:
    """Within seconds, with 503, on the login and on every page; then it goes on."""
    server = ServerProcess(tmp_path / "redis")
    server.start()
    wait_until(lambda: is_up(server), "the server")
    try:
        with callback(tmp_path, server.url, page_settings(tmp_path)) as at, closing(Person(at.url)) as person:
            server.kill()
            for answer in (person.get("/"), log_in(person)):
                assert (answer.status_code, "Redis does not answer" in answer.text) == (503, True)
                assert answer.elapsed.total_seconds() < 5
            server.start()
            wait_until(lambda: person.get("/").status_code == 303, "the page")  # this Redis has kept nothing
    finally:
        server.close()
