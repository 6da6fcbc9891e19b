"""Bodies and cookies that no browser sends: each is answered, and nothing grows or breaks."""

from contextlib import closing

import httpx
import pytest
from support.callback import Callback
from support.login import is_in
from support.page import Person, token_in
from support.raw_http import Peer, request

from pushlane.callback.page.forms import MAX_BYTES, MAX_FIELDS

FORM = "application/x-www-form-urlencoded"
BODIES = {
    "raw bytes": (b"csrf=\xff\xfe", FORM, 400),
    "encoded bytes that are no UTF-8": (b"csrf=%FF%FE", FORM, 400),
    "a surrogate": (b"csrf=%ED%A0%80", FORM, 400),
    "an overlong slash": (b"csrf=%C0%AF", FORM, 400),
    "too many fields": (b"a&" * MAX_FIELDS + b"a", FORM, 400),
    "too large": (b"a" * (MAX_BYTES + 1), FORM, 413),
    "JSON": (b'{"csrf": "x"}', "application/json", 400),
    "parts": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 400),
    "text, as a simple cross-site form": (b"csrf=x", "text/plain", 400),
    "NULs": (b"csrf=%00&\0=\0", FORM, 403),
    "nothing but separators": (b"&" * 400, FORM, 403),
    "broken escapes": (b"csrf=%&%%=%zz", FORM, 403),
}


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_a_body_that_is_no_form_is_refused_on_a_page(site: Callback, path: str) -> None:
    """With its status, before anything is looked up; the session goes on."""
    with closing(Person(site.url)) as person:
        for name, (body, kind, status) in BODIES.items():
            answer = person.post(path, content=body, headers={"Content-Type": kind})
            assert (answer.status_code, "<h1>" in answer.text) == (status, True), name
        packed = {"Content-Type": FORM, "Content-Encoding": "gzip"}
        assert person.post(path, content=b"\x1f\x8b", headers=packed).status_code == 415
        assert is_in(person)


def test_cookies_of_any_size_are_answered(site: Callback) -> None:
    """A megabyte, ten thousand of them, bytes of any kind, and the right one among many."""
    with closing(Person(site.url)) as person:
        session = person.cookies["pushlane"]
    heads = {
        "a megabyte": ([f"Cookie: pushlane={'x' * 1_000_000}"], {431}),
        "ten thousand lines": ([f"Cookie: a{n}=b" for n in range(10_000)], {431}),
        "ten thousand in a line": ([f"Cookie: {'a=b; ' * 10_000}pushlane={session}"], {431}),
        "three thousand in a line": ([f"Cookie: {'a=b; ' * 3_000}pushlane={session}"], {200}),
        "two sessions": ([f"Cookie: pushlane={session}; pushlane={'A' * 43}"], {303}),
        "two lines": ([f"Cookie: pushlane={session}", f"Cookie: pushlane={'A' * 43}"], {303}),
        "one of two lines": (["Cookie: other=1", f"Cookie: pushlane={session}"], {200}),
        "signs": (['Cookie: pushlane="; =; ;;;===; pushlane; \\'], {303}),
        "the other name": ([f"Cookie: __Host-pushlane={session}"], {303}),
        "one character less": ([f"Cookie: pushlane={session[:-1]}"], {303}),
        "one character more": ([f"Cookie: pushlane={session}A"], {303}),
    }
    for name, (lines, statuses) in heads.items():
        with Peer(site.url) as peer:
            peer.send(request("/", headers=lines, method="GET"))
            assert peer.answer().status in statuses, name
    with Peer(site.url) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: t\r\nCookie: pushlane=\xff\xfe\xc3\x28" + b"\x80" * 100 + b"\r\n\r\n")
        assert peer.answer().status in {303, 400}
    assert httpx.get(f"{site.url}/login").status_code == 200


def test_what_a_proxy_reports_is_cut(site: Callback) -> None:
    """Neither an endless address nor an odd protocol reaches Redis or breaks the login."""
    for headers in (
        httpx.Headers({"X-Forwarded-For": "x" * 9_000}),
        httpx.Headers([(b"X-Forwarded-For", b"\xff:{}*")]),
        httpx.Headers({"X-Forwarded-Proto": "http,,x"}),
    ):
        with httpx.Client(base_url=site.url, headers=headers) as one:
            token = token_in(one.get("/login"))
            answer = one.post("/login", data={"csrf": token, "name": "x", "password": "wrong"})
            assert answer.status_code == 403
