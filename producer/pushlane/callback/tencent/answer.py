"""The answers to Tencent: the only bodies that leave the endpoint, always with status 200.

::

    {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}              the message passes
    the same with "MsgBody" and/or "CloudCustomData"                     it passes, changed to this
    … "ErrorCode": 1                                                     its sender gets error 20006, in a group 10016
    … "ErrorInfo": text, "ErrorCode": one of the command's own codes     its sender gets these
    … "ErrorCode": 2                                                     it is dropped, but its sender sees it as sent

ActionStatus says whether we could process the request, not what we decided. How Tencent handles ``FAIL``, another code
or a broken MsgBody is not documented, and a failed callback *delivers* the message, so none of these may leave.
"""

from __future__ import annotations

import json
from collections.abc import Sized
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import FailFast, JsonValue, TypeAdapter, ValidationError

from pushlane.callback.tencent.element_forms import STREAM, problem
from pushlane.callback.tencent.question import C2C, GROUP
from pushlane.callback.verdict import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushlane.callback.verdict import Verdict

MAX_REWRITE_BYTES: Final = 12 * 1024
"""Of MsgBody and CloudCustomData as JSON. The platform refuses messages over 12 KB (its errors 8001 and 93000)."""
MAX_STREAM_BYTES: Final = 128 * 1024
"""The same for one with a stream element."""

OWN_CODES: Final = {C2C: range(120_001, 130_001), GROUP: range(10_100, 10_201)}
"""The codes that reach the sender's client with their text, by command."""

_ELEMENTS: Final = TypeAdapter(Annotated[list[dict[str, JsonValue]], FailFast()])
_SMALLEST: Final = len('{"MsgType":"","MsgContent":{}}')


def answer(verdict: Verdict, command: str) -> bytes:
    """The answer to one request.

    A forbidding verdict always forbids: if its code is not one of the command's own, the answer is the platform's plain
    "forbidden", without the text. A rewrite that changes nothing lets the message pass.

    Raises:
        ValueError: The verdict is a rewrite that the platform could not accept: no element, an element without MsgType
            or MsgContent or of the wrong form for its type, more than one TIMCustomElem, more bytes than a message may
            have, or something that is not JSON. The error quotes none of it.
    """
    match verdict.kind:
        case "allow":
            return ALLOWED
        case "forbid":
            return _forbidden(verdict, command)
        case "discard":
            return _body(2)
        case "rewrite":
            return _rewritten(verdict)
    raise ValueError("a verdict of unknown kind")


def _forbidden(verdict: Verdict, command: str) -> bytes:
    code = verdict.code
    # Policies are other people's code: 120001.0 is "in" the range, too.
    if isinstance(code, int) and code in OWN_CODES.get(command, ()):
        return _body(code, info=shortened(verdict.text))
    return _body(1)


def _rewritten(verdict: Verdict) -> bytes:
    changes: dict[str, object] = {}
    if verdict.msg_body is not None:
        changes["MsgBody"] = _elements(verdict.msg_body)
    if verdict.custom_data is not None:
        if not isinstance(verdict.custom_data, str):
            raise ValueError("CloudCustomData must be a string")
        changes["CloudCustomData"] = verdict.custom_data
    body = _body(0, changes=changes)
    most = MAX_STREAM_BYTES if _streams(changes) else MAX_REWRITE_BYTES
    if (size := len(body) - len(ALLOWED)) > most:
        raise ValueError(too_large(size))
    return body


def too_large(size: int) -> str:
    """What is wrong with a rewrite of this many bytes."""
    return (
        f"the rewrite has {size} bytes; a message has {MAX_REWRITE_BYTES} at most, "
        f"and {MAX_STREAM_BYTES} with a stream element"
    )


def _streams(changes: Mapping[str, Any]) -> bool:
    return any(element["MsgType"] == STREAM for element in changes.get("MsgBody", ()))


def _elements(msg_body: Sequence[dict[str, Any]]) -> list[dict[str, JsonValue]]:
    given: object = msg_body  # its annotation is not enforced
    if isinstance(given, Sized) and len(given) * _SMALLEST > MAX_STREAM_BYTES:
        raise ValueError("MsgBody has too many elements")
    try:
        elements = _ELEMENTS.validate_python(msg_body)
    except ValidationError:
        raise ValueError("MsgBody is not a JSON array of objects") from None
    if not elements:
        raise ValueError("MsgBody is empty")
    if wrong := problem(elements):
        raise ValueError(f"an element of MsgBody {wrong}")
    if sum(element["MsgType"] == "TIMCustomElem" for element in elements) > 1:
        raise ValueError("MsgBody has more than one TIMCustomElem")
    return elements


def _body(code: int, *, info: str = "", changes: Mapping[str, object] | None = None) -> bytes:
    fields = {"ActionStatus": "OK", "ErrorInfo": info, "ErrorCode": code, **(changes or {})}
    try:
        return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:  # NaN, or half a surrogate pair; the error's own message contains the text
        raise ValueError("the rewrite is not JSON") from None


ALLOWED: Final = _body(0)
"""The answer that lets a message pass, and the answer to every command that is not moderated."""
