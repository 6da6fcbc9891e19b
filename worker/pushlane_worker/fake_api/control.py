"""The document that sets the fake API's behaviour, at the start and at run time.

It always shows the current state: a fault limited by ``times`` counts down in it and is removed at zero.
"""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

DEMO_APP_ID = "demo"
DEMO_TOKEN = "pushlane-demo"  # noqa: S105 - the fake API protects nothing

_PRINTABLE = r"^[ -~]*$"
"""Printable ASCII, so that a value cannot end its header line."""
_RATE_RULE = re.compile(r"[1-9][0-9]*/[0-9]*[1-9][0-9]*s?")


def _rate_rule(value: object) -> object:
    if value is None or value == "none":
        return None
    if isinstance(value, str) and _RATE_RULE.fullmatch(value):
        return value
    raise PydanticCustomError("rate_limit", "must be like 500/60s, or none")


HeaderValue = Annotated[str, Field(pattern=_PRINTABLE)]
RateRule = Annotated[str | None, BeforeValidator(_rate_rule)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PushFault(_Document):
    """A fault that hits single pushes after they have passed the rules and the rate limit."""

    name: ClassVar[str]

    rate: float = Field(default=1.0, ge=0, le=1)
    """The share of pushes that it hits, drawn from the seeded generator."""
    times: int | None = Field(default=None, ge=1)
    """How many times it hits before it is removed; None: it stays."""
    room: str | None = None
    """The one room or user that it hits; None: all of them."""
    accept: bool = False
    """Whether the messages are accepted (recorded), which the client cannot know."""


class Stall(PushFault):
    """The push hangs. Without ``accept`` it is recorded after the hang, even if the client has stopped waiting."""

    name: ClassVar[str] = "stall"
    seconds: float = Field(ge=0)
    """How long it hangs; then it is answered with success."""


class Cut(PushFault):
    """The connection is reset after the request has been read, before any byte of the answer."""

    name: ClassVar[str] = "cut"


class Fail(PushFault):
    """The answer is an error."""

    name: ClassVar[str] = "fail"
    status: int = Field(default=503, ge=200, le=599)
    """The HTTP status of the answer."""
    code: int | None = Field(default=None, ge=1)
    """The ``code`` in its body; None: the same number as the status."""
    retry_after: HeaderValue | None = None
    """Its Retry-After header; None: no header."""


class Garbage(PushFault):
    """The answer is status 200 with a body that is not the documented JSON."""

    name: ClassVar[str] = "garbage"
    body: Literal["text", "empty", "html"] = "text"
    """``text`` is the two letters OK."""


class Control(_Document):
    """How the fake API behaves."""

    app_id: str = DEMO_APP_ID
    """The one known appID; any other gets 404."""
    token: str = DEMO_TOKEN
    """The right bearer token; any other gets 401."""
    rate_limit: RateRule = None
    """``N/SECONDS``, at most N pushes in any SECONDS, such as CINNOX's own 500/60s. None or ``none``: no limit."""
    retry_after: bool = True
    """Whether the answer to a push over the rate limit has a Retry-After header."""
    seed: int = 0
    """The seed of the generator that draws which pushes a ``rate`` hits; setting it restarts the generator."""
    latency_s: float = Field(default=0, ge=0)
    """The delay before each answer to a push, in seconds; messages are recorded before the delay."""
    down: Annotated[int, Field(ge=200, le=599)] | Literal["refuse"] | None = None
    """Every push, valid or not, gets this status; ``refuse``: every connection is reset instead."""
    throttle: HeaderValue | None = None
    """Every push gets 429 with this Retry-After header (any text); empty: without the header."""
    reject_text: Annotated[str, Field(min_length=1)] | None = None
    """A push with this text anywhere in a message is refused as a whole: 400, code 6451000."""
    stall: Stall | None = None
    """Pushes that hang."""
    cut: Cut | None = None
    """Pushes whose connection is cut."""
    fail: Fail | None = None
    """Pushes that are answered with an error."""
    garbage: Garbage | None = None
    """Pushes that are answered with something unreadable."""
    swallow: int = Field(default=0, ge=0)
    """How many of the next pushes lose their first message: answered with success, but never recorded."""
    swap: int = Field(default=0, ge=0)
    """How many of the next pushes with two or more messages have the first two recorded in swapped order."""
