"""Every error of the worker, by the stage at which it happens: the stage decides whether a resend can duplicate.

::

    PushlaneError                     (pushlane.errors)
    └── WorkerError
        ├── PushNotSent               before the push: the request certainly did not reach the API
        ├── PushUnanswered            after the push: the request left and no clear answer came
        ├── DrainError                how a drain ends in Celery's eyes
        │   ├── MessagesDeadLettered
        │   └── PushesPostponed
        └── EmbeddedServerError       the server of `make demo` and the tests did not start
"""

from pushlane.errors import PushlaneError


class WorkerError(PushlaneError):
    """Base of everything the worker raises."""


class PushNotSent(WorkerError):
    """The request certainly took no effect: no connection, no DNS answer, no TLS session."""


class PushUnanswered(WorkerError):
    """The request left, in whole or in part, and no complete answer came back: its effect is unknown."""


class DrainError(WorkerError):
    """How a drain that met trouble ends in Celery's eyes. The queue's truth does not depend on it."""


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
