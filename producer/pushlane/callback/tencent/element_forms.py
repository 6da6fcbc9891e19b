"""The form that each element of a message needs to be sent: rewrites come from other people's code.

Source: Tencent Chat's message formats (269/2720), stream elements (269/128596). Required are the fields that the page
lists for every version of the SDK; unknown elements and fields may be newer than this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RELAY: Final = "TIMRelayElem"
STREAM: Final = "TIMStreamElem"

_TEXT, _NUMBER, _LIST = "text", "number", "list"
_FORMS: Final[Mapping[str, Mapping[str, str]]] = {
    "TIMTextElem": {"Text!": _TEXT},
    "TIMLocationElem": {"Desc": _TEXT, "Latitude!": _NUMBER, "Longitude!": _NUMBER},
    "TIMFaceElem": {"Index!": _NUMBER, "Data": _TEXT},
    "TIMCustomElem": {"Data": _TEXT, "Desc": _TEXT, "Ext": _TEXT, "Sound": _TEXT},
    "TIMSoundElem": {"Url": _TEXT, "UUID!": _TEXT, "Size": _NUMBER, "Second": _NUMBER},
    "TIMImageElem": {"UUID!": _TEXT, "ImageFormat": _NUMBER, "ImageInfoArray": _LIST},
    "TIMFileElem": {"Url": _TEXT, "UUID!": _TEXT, "FileSize": _NUMBER, "FileName": _TEXT, "fileName": _TEXT},
    "TIMVideoFileElem": {"VideoUrl": _TEXT, "VideoUUID!": _TEXT, "VideoSize": _NUMBER, "VideoSecond": _NUMBER},
    RELAY: {"Title": _TEXT, "MsgNum": _NUMBER, "CompatibleText": _TEXT, "AbstractList": _LIST, "MsgList": _LIST},
    STREAM: {"CompatibleText": _TEXT, "Chunks": _LIST},
}
"""The fields of each element; those with ``!`` are required."""


def problem(elements: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with the first element that cannot be sent, without quoting it; empty if all can be.

    The elements of relayed messages are checked, too.
    """
    todo = list(elements)
    while todo:
        element = todo.pop()
        kind, content = element.get("MsgType"), element.get("MsgContent")
        if not isinstance(kind, str) or not isinstance(content, dict):
            return "has no MsgType or no MsgContent"
        for name, what in _FORMS.get(kind, {}).items():
            value = content.get(field := name.removesuffix("!"))
            if value is None and name != field:
                return f"is a {kind} without {field}"
            if value is not None and not _is(value, what):
                return f"is a {kind} whose {field} is not a {what}"
        if kind == RELAY:
            messages = [message for message in content.get("MsgList") or () if isinstance(message, dict)]
            bodies = [body for message in messages if isinstance(body := message.get("MsgBody"), list)]
            todo += [inner for body in bodies for inner in body if isinstance(inner, dict)]
    return ""


def _is(value: object, what: str) -> bool:
    match value:
        case str():
            return what == _TEXT or (what == _NUMBER and value.isdecimal())
        case int() | float():
            return what == _NUMBER and not isinstance(value, bool)
    return what == _LIST and isinstance(value, list)
