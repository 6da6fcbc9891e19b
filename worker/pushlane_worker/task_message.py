"""Validates what comes from the broker before kombu and Celery see it: only our two tasks pass, in a known form.

Anyone who can write to the broker controls every byte, and Celery trusts the format: one body or header of the wrong
type ends a worker, returns to its queue and ends the next one. So a message is rebuilt from the checked parts that our
tasks have. Everything else (time limits, stamps, how it should be displayed) is dropped. Both of Celery's protocols are
read; the result uses the second.
"""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from kombu.utils import json
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from pushlane.errors import InvalidMessage
from pushlane.message import check_channel_name
from pushlane_worker.decoding import decoded

DRAIN = "pushlane.drain"
ENQUEUE = "pushlane.enqueue"
MAX_BODY_BYTES = 4 * 1024 * 1024
"""The same limit as for HTTP."""
HIDDEN = "…"
_COMPRESSIONS = {"application/x-gzip": "deflate", "gzip": "deflate", "zlib": "deflate"}
"""What Celery calls gzip is the zlib format."""


class NotATask(Exception):
    """Its text quotes nothing from the message but a field's name."""


def _time(value: object) -> object:
    """An ISO 8601 time, close enough to now for all conversions that Celery does with it."""
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 # pydantic expects a ValueError
    time = datetime.fromisoformat(value)
    if not 2000 <= time.year < 2200:  # noqa: PLR2004 # a year is a year
        raise ValueError("must be of this or the next century")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def _signature(value: dict[str, Any]) -> dict[str, Any]:
    parts = {"task": str, "args": list | tuple, "kwargs": dict, "options": dict}
    if not all(isinstance(value.get(name), kind) for name, kind in parts.items()):
        raise ValueError("must be a signature")
    return value


_Text = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,200}$")]
_Time = Annotated[str, BeforeValidator(_time)]
_Object = dict[str, Any]
_Signature = Annotated[_Object, AfterValidator(_signature)]
"""Another task that Celery sends after this one."""


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Embedded(_Form):
    callbacks: list[_Signature] | None = None
    errbacks: list[_Signature] | None = None
    chain: list[_Signature] | None = None
    chord: _Signature | None = None


class _Headers(_Form):
    task: Literal["pushlane.drain", "pushlane.enqueue"]
    id: _Text
    eta: _Time | None = None
    expires: _Time | None = None
    retries: Annotated[int, Field(ge=0, le=1000)] = 0
    root_id: _Text | None = None
    parent_id: _Text | None = None
    origin: _Text | None = None


class _DeliveryInfo(_Form):
    exchange: Annotated[str, StringConstraints(max_length=200)] = ""
    routing_key: Annotated[str, StringConstraints(max_length=200)] = ""


class _Properties(_Form):
    delivery_tag: _Text
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64", "utf-8"] | None = None
    correlation_id: _Text | None = None
    reply_to: _Text | None = None
    priority: Annotated[int, Field(ge=0, le=255)] | None = 0


class _Envelope(_Form):
    body: str
    content_type: Literal["application/json"] = Field(alias="content-type")
    headers: _Object
    properties: _Properties


class _Payload(_Form):
    positional: list[Any]
    named: _Object
    embed: Annotated[_Embedded, BeforeValidator(lambda value: value or {})]


def _check_drain(payload: _Payload) -> str:
    (channel,) = [*payload.positional, *(value for name, value in payload.named.items() if name == "channel")]
    return check_channel_name(channel)


def _shown(task: str, payload: _Payload) -> dict[str, str]:
    """The arguments as monitors and the log show them: no message text, nothing in the sender's own words."""
    if task == DRAIN:
        return {"argsrepr": f"('{_check_drain(payload)}',)", "kwargsrepr": "{}"}
    try:
        kwargs = repr({"channel": check_channel_name(payload.named.get("channel")), "message": HIDDEN})
    except InvalidMessage:
        kwargs = f"{{{HIDDEN}}}"
    return {"argsrepr": f"({HIDDEN})" if payload.positional else "()", "kwargsrepr": kwargs}


def _content(envelope: _Envelope) -> Any:  # noqa: ANN401 # whatever JSON holds
    content = envelope.body.encode()
    if envelope.properties.body_encoding == "base64":
        content = base64.b64decode(content)
    compression = envelope.headers.get("compression")
    if compression is not None:
        if not isinstance(compression, str) or compression not in _COMPRESSIONS:
            raise ValueError("compression")
        content = decoded(content, _COMPRESSIONS[compression], MAX_BODY_BYTES)
    if len(content) > MAX_BODY_BYTES:
        raise NotATask(f"its body is longer than {MAX_BODY_BYTES} bytes")
    return json.loads(content)


def _read_payload(content: Any) -> tuple[Any, _Payload]:  # noqa: ANN401 # the same
    """The object with a task's headers in the first protocol (None in the second), and the arguments in either."""
    if isinstance(content, list):
        args, kwargs, embed = content
        return None, _Payload.model_validate({"positional": args, "named": kwargs, "embed": embed})
    arguments = {"positional": content["args"], "named": content.get("kwargs", {}), "embed": content}
    return content, _Payload.model_validate(arguments)


def read(raw: object) -> dict[str, Any]:
    """The message in kombu's format, rebuilt from its checked parts.

    Raises:
        NotATask: It is not one of our tasks.
    """
    try:
        envelope = _Envelope.model_validate(raw)
        first, payload = _read_payload(_content(envelope))
        headers = _Headers.model_validate(envelope.headers if "task" in envelope.headers else first)
        shown = _shown(headers.task, payload)
    except ValidationError as error:
        field = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
        raise NotATask(f"it is not one of our tasks: {field[:100]!a}") from None
    except InvalidMessage as error:
        raise NotATask(f"it is not one of our tasks: {error.field}") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        raise NotATask(f"it cannot be read ({type(error).__name__})") from None
    properties = envelope.properties.model_dump(exclude_none=True) | {"body_encoding": "base64"}
    embed = payload.embed.model_dump(exclude_none=True)
    return {
        "body": base64.b64encode(json.dumps([payload.positional, payload.named, embed]).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers.model_dump() | shown | {"lang": "py", "timelimit": [None, None]},
        "properties": properties,
    }
