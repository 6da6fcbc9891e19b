"""Every error of the producer library, and that of wrong settings.

::

    PushlaneError
    ├── InvalidMessage          also a ValueError: the message, the key or an option is wrong; nothing was sent
    ├── UnknownChannel          the channel is not registered; nothing was sent
    ├── IdempotencyConflict     the key was used before, for another message; nothing was sent
    ├── QueueFull               the channel or Redis is full; nothing was sent
    ├── QueueUnavailable        Redis did not answer in time: perhaps accepted, retry with the same key
    │   └── NewerChannel        a newer release has registered the channel: upgrade this one; nothing was sent
    └── SettingsError           a worker or the callback cannot start: a setting is wrong
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushlane.receipt import Receipt


class PushlaneError(Exception):
    """Base of every error that Pushlane raises.

    Attributes:
        receipts: Those of the messages that ``send_many`` got accepted before the error: a prefix of its messages.
    """

    receipts: tuple[Receipt, ...] = ()

    def __reduce__(self) -> tuple[object, ...]:
        # Pickled by its attributes: an exception that composes its message cannot be rebuilt from it, and one that
        # cannot be pickled reaches Celery's parent process as its base class.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[PushlaneError], args: tuple[object, ...], facts: dict[str, object]) -> PushlaneError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


class InvalidMessage(PushlaneError, ValueError):
    """A message, key or option breaks a rule. The offending text itself is never part of the error.

    Attributes:
        field: The field or argument at fault.
        problem: What is wrong with it.
        limit: The limit that it exceeds, if any.
        index: The message's index in a list, if it came in one.
    """

    def __init__(self, field: str, problem: str, *, limit: int | None = None, index: int | None = None) -> None:
        self.field = field
        self.problem = problem
        self.limit = limit
        self.index = index
        where = field if index is None else f"message {index}: {field}"
        super().__init__(f"{where}: {problem}")

    def at(self, index: int) -> InvalidMessage:
        """The same error for the element ``index`` of a list."""
        return InvalidMessage(self.field, self.problem, limit=self.limit, index=index)


class UnknownChannel(PushlaneError):
    """The channel is not registered, so no worker would drain it.

    Attributes:
        channel: The name as it was given.
    """

    def __init__(self, channel: str) -> None:
        self.channel = channel
        super().__init__(
            f"channel {channel!r} is not registered: start a worker that has it in its settings,"
            f" or run `pushlane channel register {channel}`"
        )


class IdempotencyConflict(PushlaneError):
    """The idempotency key was used before within its window, for another message.

    Attributes:
        key: The idempotency key.
        message_id: The message that it belongs to.
    """

    def __init__(self, key: str, message_id: str) -> None:
        self.key = key
        self.message_id = message_id
        super().__init__(f"idempotency key {key!r} already belongs to another message ({message_id})")


class QueueFull(PushlaneError):
    """The channel is at its ``MAX_QUEUED``, or Redis is at its memory limit.

    Attributes:
        channel: The channel that is full.
        retry_after_s: Seconds after which another try makes sense.
    """

    def __init__(self, channel: str, why: str, retry_after_s: float) -> None:
        self.channel = channel
        self.retry_after_s = retry_after_s
        super().__init__(f"channel {channel!r} accepts no more messages: {why}; try again in {retry_after_s:g} s")


class QueueUnavailable(PushlaneError):
    """Redis did not answer within the producer's ``timeout``.

    The message may have been accepted. Retrying with the same idempotency key cannot enqueue it twice.

    Attributes:
        message_id: The id that the message has if it was accepted; None when no message was involved.
    """

    def __init__(self, problem: str, message_id: str | None = None) -> None:
        self.message_id = message_id
        hint = "" if message_id is None else f" (message {message_id} may have been accepted: retry with the same key)"
        super().__init__(f"the queue is unavailable: {problem}{hint}")


class NewerChannel(QueueUnavailable):
    """A newer release has registered the channel in a form that this one does not know. Nothing was sent.

    Attributes:
        channel: Its name.
        version: That of its record in Redis.
    """

    def __init__(self, channel: str, version: int) -> None:
        self.message_id = None
        self.channel = channel
        self.version = version
        PushlaneError.__init__(
            self,
            f"channel {channel!r} was registered by a newer release, whose record (version {version}) this one does not"
            " know: upgrade this one",
        )


class SettingsError(PushlaneError):
    """A setting is missing, wrong or unknown.

    Attributes:
        name: The setting as the operator writes it, such as ``PUSHLANE_CHANNELS__SUPPORT__TOKEN``.
        problem: What is wrong with it and what would be right, without its value.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        self.problem = problem
        super().__init__(f"{name}: {problem}")
