"""Any request at all: 401 and nothing written, or 200 and one of the documented answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.callback import C2C, TOKEN, c2c, query
from support.questions import AFTER, HELLO, Asker, code, everything

from pushlane.callback.tencent.question import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

pytestmark = pytest.mark.long

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ELEMENT = st.fixed_dictionaries(
    {"MsgType": st.sampled_from(["TIMTextElem", "TIMCustomElem", "TIMRelayElem", "TIMStreamElem"]) | JSON},
    optional={
        "MsgContent": st.dictionaries(st.sampled_from(["Text", "Data", "Desc", "MsgList", "Chunks"]), JSON) | JSON
    },
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "CallbackCommand": st.sampled_from([C2C, GROUP, AFTER]) | JSON,
        "From_Account": JSON,
        "To_Account": JSON,
        "GroupId": JSON,
        "MsgKey": JSON,
        "Random": JSON,
        "OnlineOnlyFlag": JSON,
        "MsgBody": st.lists(ELEMENT, max_size=4) | JSON,
        "CloudCustomData": JSON,
    },
)
BODY = (
    FIELDS.map(lambda fields: json.dumps(c2c(1) | fields).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | st.tuples(st.integers(0, len(HELLO)), st.binary(max_size=4)).map(
        lambda at: HELLO[: at[0]] + at[1] + HELLO[at[0] :]
    )
)
HEADER_NAMES = ["X-Forwarded-For", "Content-Type", "Content-Encoding", "Authorization", "Cookie", "Expect", "Forwarded"]
HEADERS = st.dictionaries(st.sampled_from(HEADER_NAMES), st.text(st.characters(min_codepoint=32, max_codepoint=126)))
EXTRA = st.lists(
    st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)).map(lambda pair: "=".join(map(_escaped, pair)))
    | st.sampled_from(["x=%ff", "%", "&&", "Sign=x", "=", ";", "RequestTime=1"]),
    max_size=3,
)


def _escaped(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")


@pytest.mark.parametrize("on_error", ["allow", "forbid"])
def test_any_request_gets_401_and_leaves_nothing_or_a_documented_answer(
    ask: Callable[..., Asker], redis: Redis, tmp_path: Path, on_error: str
) -> None:
    """Whatever the bytes, the headers and the rest of the query are."""
    app = ask(on_error=on_error)

    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    @given(BODY, HEADERS, EXTRA, st.sampled_from([C2C, GROUP]), st.booleans())
    def check(body: bytes, headers: dict[str, str], extra: list[str], command: str, right: bool) -> None:  # noqa: FBT001 # drawn
        asked = "&".join([query(command, token=TOKEN if right else "x"), *extra])
        before = None if right else everything(redis, tmp_path)
        response = app.post(asked, body, headers=headers)
        if response.status_code == 401:
            assert response.content == b""
            assert not right or extra or names_another(body, command)
            assert before is None or everything(redis, tmp_path) == before
            return
        assert right
        code(response, command)

    check()


def names_another(body: bytes, command: str) -> bool:
    """Whether the body belongs to another command."""
    return bool(json.loads(body)["CallbackCommand"] != command)
