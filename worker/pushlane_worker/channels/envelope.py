"""Reads the result of a push from an HTTP status and a JSON object ``{code, message}`` together.

Pure: an answer and a kind's codes in, a ``PushResult`` out, so that a table of cases tests it completely.
"""

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from pushlane.outcome import Outcome
from pushlane.service.printable import one_line
from pushlane_worker.queue.outcome import MAX_DETAIL_CHARS, Answer, PushResult

SNIPPET_CHARS = 120
"""How much of an unreadable body goes into the detail: enough to recognise a proxy's error page."""

STATUS_OUTCOMES: Final[Mapping[int, Outcome]] = {
    **dict.fromkeys((401, 403, 404, 405, 406, 410, 411, 415), Outcome.MISCONFIGURED),
    **dict.fromkeys((400, 413, 422), Outcome.REJECTED),
    **dict.fromkeys((408, 425, 503), Outcome.FAILED),
    **dict.fromkeys((500, 502, 504), Outcome.UNKNOWN),
    429: Outcome.THROTTLED,
}

# Lower codes repeat an HTTP status, as CINNOX's 400 does.
_FIRST_OWN_CODE = 1000


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _int(digits: str) -> int | None:
    """None for very long integers, which take Python quadratic time: no code is one, and no other field matters."""
    return int(digits) if len(digits) <= sys.int_info.default_max_str_digits else None


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs) and sum(name == "code" for name, _ in pairs) > 1:
        fields["code"] = None  # parsers differ in which one they use
    return fields


_STRICT = json.JSONDecoder(parse_constant=_refuse, parse_int=_int, object_pairs_hook=_object)
_INFINITIES = (math.inf, -math.inf)  # Python's value for 1e999
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Codes:
    """What an API's own codes mean."""

    outcomes: Mapping[int, Outcome]
    whole: frozenset[int] = frozenset()
    """Rejecting codes that apply to the whole batch."""
    empty: Outcome = Outcome.UNKNOWN
    """What a 2xx without a body means."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The JSON object of an answer."""

    code: int | float
    message: str
    fields: Mapping[str, object]


def parse(body: bytes) -> Envelope | None:
    """Read a JSON object with a numeric ``code``, or None for anything else.

    Strict where a mistake would count as delivered: unreadable are NaN, Infinity, a code that is a string, a boolean or
    given twice, and bytes that are not UTF-8. Tolerated are a BOM, unknown fields and other duplicate names.
    """
    try:
        fields = _STRICT.decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    code = fields.get("code")
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if isinstance(code, bool) or not isinstance(code, int | float) or code in _INFINITIES:
        return None
    message = fields.get("message")
    return Envelope(code, message if isinstance(message, str) else "", fields)


def read(answer: Answer, envelope: Envelope | None, codes: Codes, now: datetime) -> PushResult:
    """Judge a push by its status and its code.

    - Only a 2xx with code 0 is delivered, and a 2xx with an empty body if the channel says so. Any other 2xx without a
      readable object is unknown.
    - A listed code overrides the status, with two exceptions. A code below 1000 repeats an HTTP status, so it counts
      only with a 2xx or with that same status: a 401 with code 400 must not reject messages. And a status that asks
      for a pause is obeyed even if the code only means "failed".
    - A 2xx with an unlisted code other than 0 is failed: the API said clearly that it did not accept the push, so a
      retry is safe. It is not unknown, because it cannot duplicate, and not rejected, because there is no sign that
      the messages are at fault.
    - A 429 may concern only its conversation (``lone``), unless its code says that it is the account's limit.
    - An unlisted 4xx is failed for the same reason, a 3xx misconfigured; any other status is unknown.
    """
    if not answer.body and httpx.codes.is_success(answer.status):
        return PushResult(codes.empty, f"HTTP {answer.status}, no answer")
    by_status, by_code = _by_status(answer), _by_code(answer.status, envelope, codes)
    outcome = by_code or by_status
    if outcome is Outcome.FAILED and by_status is Outcome.THROTTLED:
        outcome = by_status
    retry_after = retry_after_s(answer.headers.get("retry-after"), now) if outcome is Outcome.THROTTLED else None
    lone = outcome is not by_code and answer.status == httpx.codes.TOO_MANY_REQUESTS
    whole = outcome is Outcome.REJECTED and envelope is not None and envelope.code in codes.whole
    return PushResult(outcome, _detail(answer, envelope), retry_after_s=retry_after, lone=lone, whole=whole)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """The uncapped seconds from ``now`` (aware) that a Retry-After header asks for; None if it cannot be read.

    Accepts seconds, also fractional, and every HTTP date format. A date without a zone is UTC; a past one gives 0.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def _by_status(answer: Answer) -> Outcome:
    status = answer.status
    if status == httpx.codes.SERVICE_UNAVAILABLE and answer.headers.get("retry-after", "").strip():
        return Outcome.THROTTLED
    listed = STATUS_OUTCOMES.get(status)
    if listed is not None:
        return listed
    by_class = {3: Outcome.MISCONFIGURED, 4: Outcome.FAILED}
    return by_class.get(status // 100, Outcome.UNKNOWN)


def _by_code(status: int, envelope: Envelope | None, codes: Codes) -> Outcome | None:
    if envelope is None:
        return None
    success = httpx.codes.is_success(status)
    if envelope.code == 0:
        return Outcome.DELIVERED if success else None
    if envelope.code < _FIRST_OWN_CODE and not success and envelope.code != status:
        return None
    listed = codes.outcomes.get(envelope.code) if isinstance(envelope.code, int) else None
    return Outcome.FAILED if listed is None and success else listed


def _detail(answer: Answer, envelope: Envelope | None) -> str:
    if envelope is None:
        snippet = one_line(answer.body[: 4 * SNIPPET_CHARS].decode("utf-8", "replace"))[:SNIPPET_CHARS]
        return f"HTTP {answer.status}, no readable answer: {snippet}" if snippet else f"HTTP {answer.status}, no answer"
    head = f"HTTP {answer.status}, code {envelope.code}"
    message = one_line(envelope.message[: 4 * MAX_DETAIL_CHARS])
    return (f"{head}: {message}" if message else head)[:MAX_DETAIL_CHARS]
