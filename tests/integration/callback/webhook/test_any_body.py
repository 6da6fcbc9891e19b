"""``/cinnox/webhook``: stored or refused, whatever comes."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.webhook import webhook
from support.webhook_app import HELLO, Open

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = st.dictionaries(st.sampled_from(["id", "msgID", "text", "msg", "msgText", "to", "ts"]), JSON, max_size=4)
FIELDS = st.fixed_dictionaries(
    {},
    optional={"userId": st.text() | JSON, "message": MESSAGE | JSON, "msgID": JSON, "msgText": JSON, "challenge": JSON},
)
BODY = (
    FIELDS.map(lambda fields: json.dumps(fields).encode())
    | st.binary(max_size=200)
    | st.tuples(st.integers(0, len(HELLO)), st.binary(max_size=4)).map(
        lambda at: HELLO[: at[0]] + at[1] + HELLO[at[0] :]
    )
)


def test_any_body_is_stored_or_refused(open_app: Open) -> None:
    """Whatever the bytes are: 200 or 400 in the documented form."""
    app = open_app(webhook(relay_to="{userId}-{message.to}"))

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(BODY)
    def check(body: bytes) -> None:
        response = app.post(body)
        assert response.status_code in {200, 400}, response.text
        answer = response.json()
        assert answer["code"] == (0 if response.status_code == 200 else 400)
        assert set(answer) <= ({"code", "result"} if response.status_code == 200 else {"code", "message"})

    check()
