"""The commands of one pipeline and their replies: each node gets its own, and what may pass is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from redis.exceptions import MovedError

from pushlane.cluster.slots import NO_PRIMARY, is_passing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushlane.address import Node
    from pushlane.cluster.slots import Command, Slots


class Batch:
    """One pipeline's commands, known by their numbers.

    Attributes:
        replies: In the order of the commands. Those that a node has not answered in time are errors.
    """

    def __init__(self, slots: Slots, commands: Sequence[Command]) -> None:
        self._slots = slots
        self._commands = commands
        self._problem: Exception | None = None
        self.replies: list[Any] = [redis.ConnectionError("not sent")] * len(commands)

    def parts(self) -> Mapping[Node, list[int]]:
        """Begins an attempt: the commands that have no reply yet, for each node its own."""
        todo = {number: words for number, (words, _) in enumerate(self._commands) if is_passing(self.replies[number])}
        parts = self._slots.by_owner(todo)
        whole = sum(map(len, parts.values())) == len(todo)
        self._problem = None if whole else redis.ConnectionError(NO_PRIMARY)
        return parts

    def fill(self, pipeline: Any, numbers: Sequence[int]) -> None:  # noqa: ANN401 # of either kind
        """Puts these commands into a node's pipeline."""
        for number in numbers:
            words, options = self._commands[number]
            pipeline.execute_command(*words, **options)

    def take(self, numbers: Sequence[int], answers: Sequence[Any]) -> None:
        """Takes over a node's answers to these commands."""
        for number, answer in zip(numbers, answers, strict=True):
            self.replies[number] = answer
            if isinstance(answer, MovedError):
                self._slots.moved(answer)
            self._problem = answer if is_passing(answer) else self._problem

    def fail(self, numbers: Sequence[int], error: Exception) -> None:
        """The node of these commands has not answered: it may hold nothing any more."""
        self._slots.stale = True
        self.take(numbers, [error] * len(numbers))

    def raise_if_open(self) -> None:
        """Ends an attempt: raises its last error that may pass."""
        if self._problem is not None:
            raise self._problem

    def give_up(self, error: Exception) -> None:
        """Makes the error the reply of the commands that have none."""
        self.replies = [error if is_passing(reply) else reply for reply in self.replies]

    def raise_first(self) -> None:
        """Raises the first error among the replies."""
        for reply in self.replies:
            if isinstance(reply, Exception):
                raise reply
