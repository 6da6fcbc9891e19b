"""One message: what became of it. Its text is read only when a person asks for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from pushlane.callback.page import told
from pushlane.callback.page.framed import framed
from pushlane.callback.page.parameters import channel_in
from pushlane.callback.page.view import Redirect
from pushlane.callback.page.views.channel import overview_of, path_of
from pushlane.operators.timeline import timeline_of

if TYPE_CHECKING:
    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator

_CANCELLED: Final = {"cancelled": "cancelled", "maybe_delivered": "maybe-delivered"}
_NOT_CANCELLED: Final = {
    "in_flight": "It was not cancelled: it is being pushed right now.",
    "already_final": "It was not cancelled: it is no longer in the queue.",
    "not_found": "It was not cancelled: there is no such message, or no longer.",
}


def show(operator: Operator, asked: Asked) -> View:
    """Where a message is and how it got there."""
    return _page(operator, asked, asked.query.get("id", ""))


def show_text(operator: Operator, asked: Asked) -> View:
    """The same with what it says, which is noted."""
    message_id = asked.form.get("id", "")
    payload = operator.show_text(channel_in(asked), message_id)
    if payload is None:
        return _page(operator, asked, message_id, problem="Its text is not kept, or no longer.")
    fields = payload.fields()
    said = fields.get("text", fields.get("message"))
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, indent=2)
    return _page(operator, asked, message_id, fields=fields, text=text)


def cancel(operator: Operator, asked: Asked) -> Redirect | View:
    """Takes it out of the queue, once the person is sure."""
    message_id = asked.form.get("id", "")
    if asked.form.get("sure") != "yes":
        return _page(operator, asked, message_id, cancelling=True)
    result = operator.cancel(channel_in(asked), message_id)
    if result in _NOT_CANCELLED:
        return _page(operator, asked, message_id, problem=_NOT_CANCELLED[result])
    return Redirect(told.address(path_of(channel_in(asked), "message"), _CANCELLED[result], id=message_id))


def find(operator: Operator, asked: Asked) -> Redirect | View:
    """Goes to the message with an id, in whichever channel it is."""
    message_id = asked.query.get("id", "").strip()
    channel = asked.query.get("channel", "")
    found = operator.find(message_id, [channel] if channel else operator.channels())
    if len(found) == 1:
        return Redirect(address_of(found[0], message_id))
    values = {"id": message_id, "channel_name": channel, "found": found}
    return framed(asked, "find.html", values, status=200 if found or not message_id else 404)


def address_of(channel: str, message_id: str) -> str:
    """The address of a message's page."""
    return f"{path_of(channel, 'message')}?{urlencode({'id': message_id})}"


def _page(operator: Operator, asked: Asked, message_id: str, *, problem: str = "", **more: object) -> View:
    status = operator.status(channel_in(asked), message_id)
    values = {
        "channel": overview_of(operator, channel_in(asked)),
        "id": message_id,
        "message": status,
        "timeline": timeline_of(status) if status else (),
        "cancelling": False,
        **more,
    }
    code = 409 if problem else 200 if status else 404
    return framed(asked, "message.html", values, problem=problem, status=code)
