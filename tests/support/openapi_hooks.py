"""What schemathesis is told of our API: how to sign requests, and what JSON Schema cannot say.

It is loaded by ``st run`` alone (see ``support/fuzzing.py``).
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st

from pushlane.message import CHANNEL_NAME, MAX_KEY_CHARS
from pushlane.send_options import MAX_AHEAD_DAYS

Case = schemathesis.Case[Any]

APP = os.environ["FUZZED_APP"]
API_KEY = os.environ["FUZZED_API_KEY"]
WEBHOOK_TOKEN = os.environ["FUZZED_WEBHOOK_TOKEN"]
TOKEN = os.environ["FUZZED_TOKEN"]
SIGNED = "/tencent/callback"
WEBHOOK = "/cinnox/webhook"
KEY_HEADER = "Idempotency-Key"

# JSON Schema has no times that are near.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(max_value=datetime.now() + timedelta(days=MAX_AHEAD_DAYS - 1), timezones=st.just(UTC)).map(  # noqa: DTZ005 # the strategy wants a bare one
        lambda time: time.isoformat().replace("+00:00", "Z")
    ),
)


@schemathesis.auth(refresh_interval=10)  # a signature is good for 60 s
class Credentials:
    """An API key, or for a platform its token or signature."""

    def get(self, _case: Case, _context: schemathesis.AuthContext) -> str:
        """The time that is signed."""
        return str(int(time.time()))

    def set(self, case: Case, data: str, _context: schemathesis.AuthContext) -> None:
        """Signs the request."""
        if case.operation.path == SIGNED:
            sign = hashlib.sha256((TOKEN + data).encode()).hexdigest()
            case.query.update({"Sign": sign, "RequestTime": data})
        else:
            key = WEBHOOK_TOKEN if case.operation.path == WEBHOOK else API_KEY
            case.headers["Authorization"] = f"Bearer {key}"


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
    """Makes right what no schema can bind together: the channel's kind to the body, and the header's key to it."""
    if re.fullmatch("[0-9]+", str(case.query.get("SdkAppid"))):
        case.query["SdkAppid"] = APP  # else nothing of a question would ever be looked at
    if not isinstance(case.body, dict | list):
        return
    if CHANNEL_NAME.fullmatch(str(case.path_parameters.get("channel"))):
        case.path_parameters["channel"] = "crm" if _is_of_a_user(case.body) else "support"
    if case.meta is not None and case.meta.generation.mode.is_positive and not _takes_header(case):
        del case.headers[KEY_HEADER]


def _takes_header(case: Case) -> bool:
    """Whether the header's key goes with the body: with one of its own it must be the same, and a list adds to it."""
    if KEY_HEADER not in case.headers:
        return True
    messages: Any = case.body if isinstance(case.body, list) else [case.body]
    is_long = isinstance(case.body, list) and len(case.headers[KEY_HEADER]) > MAX_KEY_CHARS - len("/999")
    return not is_long and not any(message.get("idempotency_key") for message in messages)


def _is_of_a_user(body: Any) -> bool:  # noqa: ANN401 # whatever schemathesis made up
    first = body[0] if isinstance(body, list) and body else body
    if isinstance(first, dict) and "verdict" in first:
        first = first.get("message")
    return isinstance(first, dict) and "user_id" in first
