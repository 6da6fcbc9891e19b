"""The one document that says how the stand-in behaves, at its start and at run time.

It always tells the present state: a fault limited by ``times`` counts down in it and is gone at zero.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

DEMO_APP_ID = "demo"
DEMO_TOKEN = "pushlane-demo"  # noqa: S105 - the stand-in guards nothing

_PRINTABLE = r"^[ -~]*$"
"""Printable ASCII, so that a value cannot end its header line."""


def _none_by_name(value: object) -> object:
    return None if value == "none" else value


HeaderValue = Annotated[str, Field(pattern=_PRINTABLE)]
RateRule = Annotated[
    Annotated[str, Field(pattern=r"^[1-9][0-9]*/[0-9]*[1-9][0-9]*s?$")] | None, BeforeValidator(_none_by_name)
]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PushFault(_Document):
    """A fault that strikes single pushes, after they passed the rules and the rate limit."""

    name: ClassVar[str]

    rate: float = Field(default=1.0, ge=0, le=1)
    """The share of pushes that it strikes, drawn from the seeded generator."""
    times: int | None = Field(default=None, ge=1)
    """After so many strikes it is gone; None: it stays."""
    room: str | None = None
    """The one room or user that it strikes; None: all of them."""
    accept: bool = False
    """Whether the messages are accepted (recorded) although the client cannot know."""


class Stall(PushFault):
    """The push hangs. Without ``accept`` it is recorded after the hang, whether or not the client still waits."""

    name: ClassVar[str] = "stall"
    seconds: float = Field(ge=0)
    """How long it hangs; it is then answered with success."""


class Cut(PushFault):
    """The connection is reset after the request was read, before a byte of the answer."""

    name: ClassVar[str] = "cut"


class Fail(PushFault):
    """An error is answered."""

    name: ClassVar[str] = "fail"
    status: int = Field(default=503, ge=200, le=599)
    """The HTTP status of the answer."""
    code: int | None = Field(default=None, ge=1)
    """The ``code`` in its body; None: the same number as the status."""
    retry_after: HeaderValue | None = None
    """Its Retry-After header; None: no header."""


class Garbage(PushFault):
    """A status 200 is answered whose body is not the documented JSON."""

    name: ClassVar[str] = "garbage"
    body: Literal["text", "empty", "html"] = "text"
    """``text`` is the two letters OK."""


class Control(_Document):
    """How the stand-in behaves."""

    app_id: str = DEMO_APP_ID
    """The one known appID; any other is answered 404."""
    token: str = DEMO_TOKEN
    """The right bearer token; any other is answered 401."""
    rate_limit: RateRule = None
    """``N/SECONDS`` such as 500/60s, CINNOX's own: at most N pushes in any SECONDS. None or ``none``: no limit."""
    retry_after: bool = True
    """Whether a push over the rate limit is told in a Retry-After header when to come back."""
    seed: int = 0
    """Starts the generator that draws which pushes a ``rate`` strikes; setting it starts the generator again."""
    latency_s: float = Field(default=0, ge=0)
    """The time before each answer to a push, in seconds; what was accepted is recorded before it."""
    down: Annotated[int, Field(ge=200, le=599)] | Literal["refuse"] | None = None
    """The status that answers every push, right or wrong; ``refuse``: every connection is reset instead."""
    throttle: HeaderValue | None = None
    """Every push is answered 429 with this Retry-After header (any text); an empty one: without the header."""
    reject_text: Annotated[str, Field(min_length=1)] | None = None
    """A push with this text anywhere in one of its messages is refused as a whole: 400, code 6451000."""
    stall: Stall | None = None
    """Pushes that hang."""
    cut: Cut | None = None
    """Pushes whose connection is cut."""
    fail: Fail | None = None
    """Pushes that are answered with an error."""
    garbage: Garbage | None = None
    """Pushes that are answered with something unreadable."""
    swallow: int = Field(default=0, ge=0)
    """From so many next pushes the first message is lost: answered with success, never recorded."""
    swap: int = Field(default=0, ge=0)
    """Of so many next pushes with two messages or more, the first two are recorded in swapped order."""
