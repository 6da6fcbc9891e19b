"""Over HTTP: paths, keys and methods that there are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.http_api import HELLO, SUPPORT, Api, problem

if TYPE_CHECKING:
    from redis import Redis
    from support.callback import Callback

NO_ID = "0" * 32
ODD = ["%00", "%0A", f"{NO_ID}%0A", "%2F", "%2e%2e", "..", "%FF", "%", "%zz", "x" * 12_000, "%F0%9F%98%80", "{}", "a b"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:20])
def test_an_odd_path_is_not_found_or_refused(serving: Callback, api: Api, odd: str) -> None:
    """A problem document and never a failure of ours, wherever in the path it stands."""
    escaped = odd.replace(" ", "%20")
    for method in ("GET", "DELETE"):
        problem(api.raw(method, f"{SUPPORT}/{escaped}"), 404)
    answer = api.raw("POST", f"/v1/channels/{escaped}/messages", json=HELLO)
    assert answer.status_code in {403, 404, 405}
    problem(answer, answer.status_code)
    answer = api.raw("POST", f"/v1/channels/support/decisions/{escaped}", json={"verdict": "allow"})
    assert answer.status_code in {200, 422}, answer.text
    assert "Traceback" not in serving.log.read_text()


@pytest.mark.parametrize("key", ["%00", "%0A", "a%0Ab", "a%0D", "%FF", "a%C3", "%ED%A0%80", "%C2%85", "k" * 257])
def test_a_hold_key_that_is_none_is_refused_as_such(api: Api, redis: Redis, key: str) -> None:
    """422 for the key, and no two of them are one key."""
    answer = api.raw("POST", f"/v1/channels/support/decisions/{key}", json={"verdict": "allow"})
    assert problem(answer, 422)["field"] == "key"
    assert list(redis.scan_iter("*decision:*")) == []


@pytest.mark.parametrize("reason", [{}, [], 0, False])
def test_a_reason_that_is_no_text_is_refused(api: Api, reason: object) -> None:
    """Also one that is as good as none."""
    answer = api.post("/v1/channels/support/decisions/k", json={"verdict": "forbid", "reason": reason})
    assert problem(answer, 422)["field"] == "reason"


def test_a_rewrite_takes_no_options(api: Api) -> None:
    """They would be ignored."""
    body = {"verdict": "rewrite", "message": HELLO | {"expires_in_s": 60}}
    assert problem(api.post("/v1/channels/support/decisions/k", json=body), 422)["field"] == "message"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (SUPPORT, "POST"),
        (f"{SUPPORT}/{NO_ID}", "DELETE, GET, HEAD"),
        ("/v1/channels/support/decisions/k", "POST"),
        ("/openapi.json", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE"])
def test_another_method_is_told_which_there_are(api: Api, path: str, allowed: str, method: str) -> None:
    """405 with Allow, as a problem."""
    answer = api.request(method, path)
    problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/channels", f"{SUPPORT}/", "/docs", "//", "/v2/channels"])
def test_where_nothing_is_is_a_problem_too(api: Api, path: str) -> None:
    """404, and no redirect."""
    problem(api.raw("GET", path), 404)
