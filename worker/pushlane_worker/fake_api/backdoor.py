"""The endpoints under ``/_``, with which tests and the demo control and query the fake API.

::

    GET  /_control                the current control document
    POST /_control                change the fields in the body; answers with the whole document
    POST /_reset                  forget everything and return to the initial behaviour
    GET  /_record                 the summary
    GET  /_record/rooms           {room: accepted messages}
    GET  /_record/rooms/{room}    the messages of a room (percent-encoded), in order of arrival
    GET  /_record/pushes          every push, in order of arrival
    GET  /_record/injected        the injected faults that hit single pushes, with their messages
"""

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from pushlane_worker.fake_api.chat import FakeChat
from pushlane_worker.fake_api.rules import Reply, json_reply

PREFIX = "/_"
_ROOM = "/_record/rooms/"
_JSON = {"Content-Type": "application/json"}


def answer(chat: FakeChat, method: str, path: str, body: bytes) -> Reply:
    """Answer a request to one of the endpoints; 404 for any other path under the prefix."""
    match method, path:
        case "POST", "/_control":
            return _change(chat, body)
        case "POST", "/_reset":
            chat.reset()
            return _documents(chat.control)
        case "GET", _:
            return _show(chat, path)
        case _:
            return _unknown(method, path)


_SHOWN: Mapping[str, Callable[[FakeChat], Reply]] = {
    "/_control": lambda chat: _documents(chat.control),
    "/_record": lambda chat: _documents(chat.record.summary()),
    "/_record/rooms": lambda chat: json_reply(200, chat.record.rooms()),
    "/_record/pushes": lambda chat: _documents(chat.record.pushes()),
    "/_record/injected": lambda chat: _documents(chat.record.injected()),
}


def _show(chat: FakeChat, path: str) -> Reply:
    if path.startswith(_ROOM):
        return _documents(chat.record.room(unquote(path.removeprefix(_ROOM))))
    show = _SHOWN.get(path)
    return _unknown("GET", path) if show is None else show(chat)


def _change(chat: FakeChat, body: bytes) -> Reply:
    try:
        changes = from_json(body)
        if not isinstance(changes, dict):
            return json_reply(400, {"message": "the body must be a JSON object"})
        return _documents(chat.change(**changes))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        return json_reply(400, {"message": "; ".join(problems)})
    except ValueError as error:
        return json_reply(400, {"message": f"the body is not JSON: {error}"})


def _documents(documents: BaseModel | Iterable[object]) -> Reply:
    serialisable = documents if isinstance(documents, BaseModel) else list(documents)
    return Reply(200, to_json(serialisable), _JSON)


def _unknown(method: str, path: str) -> Reply:
    return json_reply(404, {"message": f"the fake API has no {method} {path}"})
