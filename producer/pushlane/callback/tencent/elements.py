"""Every text of a message, whatever its shape, and the message's elements with some texts replaced.

Texts are all strings in all elements, including unknown ones, and CloudCustomData, except for the addresses and
identifiers of the elements in ``_MACHINE`` and the names of fields. Relayed messages are elements within an element.
The chunks of a stream are read both one by one and joined, as the receiver will see them; so are the text elements, as
they are relayed.

Sources: Tencent Chat's message formats (269/2720) and stream elements (269/128596).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from bidi import get_display

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pushlane.callback.chat_message import ChatMessage

ElementPath = tuple[str | int, ...]

MAX_DEPTH: Final = 64
"""Lists and objects within each other; a relayed message takes five, so this is a relay within twelve relays."""
MAX_ESCAPE_ROUNDS: Final = 4
"""Rounds of decoding; one handles any number of backslashes, so only ``\\u005c`` within itself needs more."""

_DISPLAYED: Final = {
    "TIMTextElem": frozenset(["Text"]),
    "TIMCustomElem": frozenset(["Desc"]),
    "TIMLocationElem": frozenset(["Desc"]),
    "TIMFileElem": frozenset(["FileName", "fileName"]),
    "TIMRelayElem": frozenset(["Title", "CompatibleText", "AbstractList"]),
    "TIMStreamElem": frozenset(["CompatibleText", "Markdown"]),
}
_MACHINE: Final = {
    "TIMSoundElem": frozenset(["Url", "UUID"]),
    "TIMImageElem": frozenset(["UUID", "URL"]),
    "TIMFileElem": frozenset(["Url", "UUID"]),
    "TIMVideoFileElem": frozenset(["VideoUrl", "VideoUUID", "ThumbUrl", "ThumbUUID"]),
    "TIMRelayElem": frozenset(["JsonMsgKey"]),
}
_KNOWN: Final = frozenset([*_DISPLAYED, *_MACHINE, "TIMFaceElem"])
_UNKNOWN: Final = "an unknown element"
_CUSTOM_DATA: Final = "CloudCustomData"
# Marks, embeddings, overrides and isolates.
_DIRECTION: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Only from the start of a run of backslashes: trying each one of them would take n * n for a run of n without a match.
_ESCAPE: Final = re.compile(r'(?<!\\)\\++(?:u([0-9a-fA-F]{4})|([nrtbf"/]))')
_SHORT: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "/": "/"}


class TooDeep(ValueError):
    """The message is nested so deeply that part of it was not read: a policy must not let it pass as clean."""


class Text(NamedTuple):
    """One string of a message.

    Attributes:
        value: The string, unchanged.
        where: The type of the element that contains it, or a substitute for that: never the sender's words.
        path: Its path through the message's elements; empty if it is not a single string in them.
        displayed: Clients show it as it is and no program reads it, so parts of it may be replaced.
    """

    value: str
    where: str
    path: ElementPath
    displayed: bool


# A value, the type of its element, its path, and the name of its field. A tuple, because a message has many.
_Node = tuple[object, str, ElementPath, str]


def texts(message: ChatMessage) -> Iterator[Text]:
    """Every text of the message that is not empty, in no order. Time and memory are linear in the message's size.

    Raises:
        TooDeep: Perhaps after some texts.
    """
    if len(message.msg_body) > 1 and (relayed := message.text):
        yield Text(relayed, "TIMTextElem", (), displayed=False)
    # Not recursive: how deep that may go depends on the caller's stack.
    nodes: list[_Node] = [(message.custom_data, _CUSTOM_DATA, (), ""), (message.msg_body, "", (), "MsgBody")]
    while nodes:
        value, where, path, field = node = nodes.pop()
        if isinstance(value, str):
            is_type = field == "MsgType" and value == where
            if value and not is_type and field not in _MACHINE.get(where, ()):
                yield Text(value, where or _UNKNOWN, path, field in _DISPLAYED.get(where, ()))
        elif isinstance(value, (dict, list, tuple)):
            if len(path) >= MAX_DEPTH:
                raise TooDeep(f"the message is nested deeper than {MAX_DEPTH} levels")
            if where == "TIMStreamElem" and field == "Chunks" and isinstance(value, list):
                yield Text(_joined(value), where, (), displayed=False)
            nodes += _children(node)


def readings(value: str) -> Iterator[str]:
    r"""The ways to read a string: unchanged, with JSON's escapes decoded, and as it is displayed.

    Custom data is often JSON within JSON, where ``\u0063asino`` is ``casino``. The escapes are decoded in any string,
    however often they were escaped; parsing would miss what only a lenient parser accepts, and the first of two fields
    with the same name. Characters that change the direction display letters, or words, in another order.

    Raises:
        TooDeep: Perhaps after some readings.
    """
    yield value
    decoded = value
    for _ in range(MAX_ESCAPE_ROUNDS):
        if "\\" not in decoded or (further := _ESCAPE.sub(_unescaped, decoded)) == decoded:
            break
        decoded = further
    else:
        raise TooDeep(f"a string is escaped more than {MAX_ESCAPE_ROUNDS} times")
    if decoded != value:
        # A character beyond U+FFFF is escaped as two surrogates.
        decoded = decoded.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        yield decoded
    if _DIRECTION.search(decoded):
        shown = decoded.encode(errors="replace").decode()
        yield from (get_display(shown, base_dir=side) for side in ("L", "R"))  # clients start from either side


def replaced(msg_body: Sequence[dict[str, Any]], texts: Mapping[ElementPath, str]) -> list[dict[str, Any]]:
    """A copy of the elements with these texts at these paths. The elements given are not changed."""
    copies: dict[ElementPath, Any] = {(): _copy(msg_body)}
    for path, text in texts.items():
        for depth in range(1, len(path)):
            if path[:depth] not in copies:
                parent, key = copies[path[: depth - 1]], path[depth - 1]
                parent[key] = copies[path[:depth]] = _copy(parent[key])
        copies[path[:-1]][path[-1]] = text
    body: list[dict[str, Any]] = copies[()]
    return body


def _copy(inner: Any) -> Any:  # noqa: ANN401 - lists and objects of JSON
    return dict(inner) if isinstance(inner, dict) else list(inner)


def _children(node: _Node) -> list[_Node]:
    value, where, path, field = node
    if isinstance(value, dict):
        return [(inner, where, (*path, key), str(key)) for key, inner in value.items()]
    values = cast("Sequence[object]", value)
    if field == "MsgBody" and where in ("", "TIMRelayElem"):
        return [(inner, _type(inner), (*path, index), "") for index, inner in enumerate(values)]
    return [(inner, where, (*path, index), field) for index, inner in enumerate(values)]


def _type(element: object) -> str:
    kind = element.get("MsgType") if isinstance(element, dict) else None
    return kind if isinstance(kind, str) and kind in _KNOWN else _UNKNOWN


def _joined(chunks: Sequence[object]) -> str:
    known = [chunk for chunk in chunks if isinstance(chunk, dict)]
    known.sort(key=lambda chunk: index if isinstance(index := chunk.get("Index"), int | float) else 0)
    parts = (chunk.get("Markdown") for chunk in known)
    return "".join(part for part in parts if isinstance(part, str))


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _SHORT[escape[2]]
