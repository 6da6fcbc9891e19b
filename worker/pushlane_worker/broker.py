"""Kombu's connection to the broker, changed so that a worker survives whatever state the broker is in.

- When its connection is gone, kombu's channel still makes new clients from it and fails with an AttributeError that
  nothing up to the worker's main loop expects. Restoring unacknowledged messages ended the worker, and so did a late
  acknowledgement. Here the first is a lost connection like any other, and the second does nothing: an unacknowledged
  message is delivered again after the broker's visibility timeout, and all our tasks may run twice.
- Its connections follow the primary, as the queue's do. Behind sentinels, too: kombu's own transport for them turns the
  answer of a demoted server into a lost connection, and then reconnects to that server without a pause.
- A message is one of our tasks in a known form (``task_message.py``), or it is thrown away and logged.
- Between two tries to connect, kombu waits 2, 4, 6 … 30 s. Here it waits one second, and only the first failure is
  logged.
"""

import itertools
import re
from collections.abc import Callable
from typing import Any, Final, Self

import kombu
from celery.app import amqp
from kombu.connection import ConnectionPool, PooledConnection
from kombu.transport import redis
from redis.exceptions import ConnectionError as ConnectionLost

from pushlane.connections import through_sentinels, to_primary
from pushlane_worker.task_message import NotATask, read
from pushlane_worker.telemetry import logger

Errback = Callable[[Exception, float], object]

RETRY_EACH_S: Final = 1
_NOT_FOR_TASKS: Final = re.compile(r"\.celery\.pidbox$|^celeryev\.")
"""The queues of Celery's remote control and of its events."""
_MALFORMED: Final = (AttributeError, TypeError, ValueError, LookupError, RecursionError)


class _QoS(redis.QoS):  # type: ignore[misc] # kombu has no types
    def ack(self, delivery_tag: str) -> None:
        if self.channel.is_open:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 # kombu's signature
        if self.channel.is_open:
            super().reject(delivery_tag, requeue=requeue)


class _Channel(redis.Channel):  # type: ignore[misc] # the same
    QoS = _QoS

    @property
    def is_open(self) -> bool:
        return self.connection is not None and self.connection.client is not None

    def _connparams(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 # the same
        if not self.is_open:
            raise ConnectionLost("the channel's connection is closed")
        params = super()._connparams(*args, **options)
        kind = to_primary(params["connection_class"])
        sentinels = self.connection.client.transport_options.get("sentinels")
        if sentinels is None:
            return params | {"connection_class": kind}
        return params | {"connection_class": through_sentinels(kind), "sentinels": sentinels}

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401 # the same
        try:
            return super()._brpop_read(**options)
        except (ValueError, RecursionError) as error:
            _throw_away("", f"it cannot be read ({type(error).__name__})")
            return True


class _Transport(redis.Transport):  # type: ignore[misc] # the same
    Channel = _Channel

    def _deliver(self, message: object, queue: str) -> None:
        try:
            if _NOT_FOR_TASKS.search(queue):
                super()._deliver(message, queue)
                return
            task = read(message)
        except NotATask as refused:
            _throw_away(queue, str(refused))
        except _MALFORMED as error:
            _throw_away(queue, f"it cannot be read ({type(error).__name__})")
        else:
            super()._deliver(task, queue)


def _throw_away(queue: str, problem: str) -> None:
    logger().warning("broker.message_thrown_away", queue=queue, problem=problem)


class Connection(kombu.Connection):  # type: ignore[misc] # the same
    """A connection to a Redis broker, a single server or the primary behind sentinels."""

    def get_transport_cls(self) -> type[_Transport]:
        """Always ours: the settings accept no broker but Redis."""
        return _Transport

    def ensure_connection(self, errback: Errback | None = None, *args: Any, **options: Any) -> Self:  # noqa: ANN401 # same
        """Like kombu's own, but retries every second and passes only the first failure to ``errback``."""
        failures = itertools.count()

        def first(error: Exception, wait_s: float) -> None:
            if next(failures) == 0 and errback is not None:
                errback(error, wait_s)

        intervals = {"interval_start": RETRY_EACH_S, "interval_step": 0, "interval_max": RETRY_EACH_S}
        super().ensure_connection(first, *args, **{**intervals, **options})
        return self

    def Pool(self, limit: int | None = None, **options: Any) -> ConnectionPool:  # noqa: ANN401, N802 # kombu's method
        """A pool of our connections, which publish tasks; kombu's own pools make kombu's."""
        return _Pool(self, limit, **options)


class _PooledConnection(Connection, PooledConnection):  # type: ignore[misc] # the same
    pass


class _Pool(ConnectionPool):  # type: ignore[misc] # the same
    def new(self) -> _PooledConnection:
        return _PooledConnection(self, **dict(self.connection._info(resolve=False)))  # noqa: SLF001 # as kombu's own does


class AMQP(amqp.AMQP):  # type: ignore[misc] # celery has no types
    """Makes Celery use our connection class."""

    Connection = Connection
