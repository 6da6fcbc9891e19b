"""Controls and queries a fake API that runs elsewhere, with blocking calls and only the standard library's HTTP."""

import http.client
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from pushlane_worker.fake_api.control import Control
from pushlane_worker.fake_api.reports import InjectedFault, PushEntry, RoomEntry, Summary

TIMEOUT_S = 10.0

_ROOMS = TypeAdapter(dict[str, int])
_ROOM = TypeAdapter(list[RoomEntry])
_PUSHES = TypeAdapter(list[PushEntry])
_INJECTED = TypeAdapter(list[InjectedFault])


class FakeApiClient:
    """Opens one short connection per call.

    Every method raises OSError when the fake API does not answer, and ValueError with its message when it refuses.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc

    def record(self) -> Summary:
        """Return the summary."""
        return Summary.model_validate_json(self._call("GET", "/_record"))

    def rooms(self) -> dict[str, int]:
        """Count the accepted messages of each room."""
        return _ROOMS.validate_json(self._call("GET", "/_record/rooms"))

    def room(self, room: str) -> list[RoomEntry]:
        """Return the messages that a room accepted, in order of arrival."""
        return _ROOM.validate_json(self._call("GET", f"/_record/rooms/{quote(room, safe='')}"))

    def texts(self, room: str) -> list[str]:
        """Return only the texts that a room accepted, in order of arrival."""
        return [entry.text for entry in self.room(room)]

    def pushes(self) -> list[PushEntry]:
        """Return every push in order of arrival."""
        return _PUSHES.validate_json(self._call("GET", "/_record/pushes"))

    def injected(self, fault: str | None = None) -> list[InjectedFault]:
        """Return the faults that hit single pushes, in order; with ``fault`` only those of that name."""
        faults = _INJECTED.validate_json(self._call("GET", "/_record/injected"))
        return [one for one in faults if fault in {None, one.fault}]

    def control(self, **changes: object) -> Control:
        """Change these fields of the control document, if any, and return the whole document."""
        if not changes:
            return Control.model_validate_json(self._call("GET", "/_control"))
        return Control.model_validate_json(self._call("POST", "/_control", to_json(changes)))

    def reset(self) -> None:
        """Forget everything and return to the initial behaviour."""
        self._call("POST", "/_reset")

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"the fake API's answer was cut short: {error!r}") from error
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise ValueError(from_json(answer)["message"])
        return answer
