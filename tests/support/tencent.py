"""The documented samples of the chat platform's questions, and what is read of a changed one."""

import json
from typing import Any

from pushlane.callback import ChatMessage
from pushlane.callback.tencent.question import (
    C2C,
    GROUP,
    NothingToJudge,
    Unreadable,
    WrongCommand,
    parse,
)
from pushlane.callback.tencent.signature import Query

C2C_QUERY, GROUP_QUERY = Query("1400000000", C2C), Query("1400000000", GROUP)
C2C_SAMPLE = """{
    "CallbackCommand": "C2C.CallbackBeforeSendMsg",
    "From_Account": "jared",
    "To_Account": "John",
    "MsgSeq": 48374,
    "MsgRandom": 2837546,
    "MsgTime": 1557481126,
    "MsgKey": "48374_2837546_1557481126",
    "OnlineOnlyFlag":1,
    "MsgBody": [
        {
            "MsgType": "TIMTextElem",
            "MsgContent":{
                "Text": "red packet"
            }
        }
    ],
    "CloudCustomData": "your cloud custom data"
}"""
"""The sample request of the page "before sending a one-to-one message", without its comments."""
GROUP_SAMPLE = """{
    "CallbackCommand": "Group.CallbackBeforeSendMsg",
    "GroupId": "@TGS#2J4SZEAEL",
    "Type": "Public",
    "From_Account": "jared",
    "Operator_Account":"admin",
    "Random": 123456,
    "MsgId": "144115233406643804-1727580296-4026038328",
    "OnlineOnlyFlag": 0,
    "MsgBody": [
        {"MsgType": "TIMTextElem", "MsgContent": {"Text": "red packet"}},
        {"MsgType": "TIMFaceElem", "MsgContent": {"Index": 6, "Data": "abc\\u0000\\u0001"}}
    ],
    "CloudCustomData": "your cloud custom data",
    "EventTime": "1670574414123"
}"""
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]


def c2c(**changes: object) -> dict[str, Any]:
    """The fields of the C2C sample with these changed."""
    return {**json.loads(C2C_SAMPLE), **changes}


def group(**changes: object) -> dict[str, Any]:
    """The fields of the group sample with these changed."""
    return {**json.loads(GROUP_SAMPLE), **changes}


def read(fields: object) -> ChatMessage | NothingToJudge | WrongCommand | Unreadable:
    """What becomes of these fields under a query of their command; of any but the group's, under the C2C one."""
    of_group = isinstance(fields, dict) and fields.get("CallbackCommand") == GROUP
    return parse(json.dumps(fields).encode(), GROUP_QUERY if of_group else C2C_QUERY)


def message(fields: object) -> ChatMessage:
    """The message of these fields."""
    result = read(fields)
    assert isinstance(result, ChatMessage), result
    return result


def with_value(raw: str) -> bytes:
    """The C2C sample with this raw JSON deep inside its MsgBody."""
    return C2C_SAMPLE.replace('"red packet"', raw).encode()
