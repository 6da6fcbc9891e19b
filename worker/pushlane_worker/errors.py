"""The worker's errors by stage: the stage decides whether a resend can duplicate.

::

    PushlaneError                     (pushlane.errors)
    └── WorkerError
        ├── PushNotSent               before the push: the request definitely did not reach the API
        ├── PushUnanswered            after the push: the request was sent, but no clear answer came
        ├── DrainError                how Celery sees the end of a drain
        │   ├── MessagesDeadLettered
        │   └── PushesPostponed
        └── EmbeddedServerError       the server of `make demo` and the tests did not start
"""

from pushlane.errors import PushlaneError


class WorkerError(PushlaneError):
    """Base class of all errors that the worker raises."""


class PushNotSent(WorkerError):
    """The request definitely had no effect: no connection, no DNS answer or no TLS session."""


class PushUnanswered(WorkerError):
    """At least part of the request was sent, but no complete answer came back: its effect is unknown."""


class DrainError(WorkerError):
    """The state that Celery shows for a drain with errors. The queue does not depend on it."""


class MessagesDeadLettered(DrainError):
    """Messages died in this drain: its Celery state is FAILURE."""

    def __init__(self, channel: str, dead: int, total: int, reason: str) -> None:
        super().__init__(f"{channel}: {dead} of {total} messages were dead-lettered: {reason}")


class PushesPostponed(DrainError):
    """Pushes failed, were throttled or stayed unanswered: its Celery state is RETRY."""

    def __init__(self, channel: str, counts: str, next_s: float | None) -> None:
        when = "when the channel's gate opens" if next_s is None else f"in {next_s:.1f} s"
        super().__init__(f"{channel}: {counts}; next try {when}")


class EmbeddedServerError(WorkerError):
    """The server that ``make demo`` and the tests start for themselves did not come up."""
