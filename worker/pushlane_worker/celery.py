"""The Celery app. Drain tasks are only wake-ups: losing one or running one twice neither loses nor duplicates messages.

Importing this module reads and checks only the two addresses, so that Flower can load it; a worker checks its other
settings when it starts. Each transport setting prevents a failure that we have seen; docs/decisions.md lists them.
"""

import sys
from collections.abc import Iterable

import click
from celery import Celery
from kombu.entity import Queue

from pushlane.address import Address
from pushlane.connections import Sentinels
from pushlane.errors import SettingsError
from pushlane_worker.dispatch.consumers import ENQUEUE_QUEUE
from pushlane_worker.settings import Addresses

DRAIN_QUEUE = "pushlane"
CONNECT_S = 2


def _broker() -> Address:
    """Ends the process when the address is invalid: Celery would show a traceback, with the password in it."""
    try:
        return Addresses().broker_address()
    except SettingsError as error:
        sys.stderr.write(f"pushlane: {error}\n")
        raise SystemExit(2) from None


def _sentinel_options(address: Address) -> dict[str, object]:
    if address.kind != "sentinel":
        return {}
    tls = {} if address.tls is None else {"ssl": True, **address.tls}
    timeouts = {"socket_timeout": CONNECT_S, "socket_connect_timeout": CONNECT_S}
    return {
        "sentinels": Sentinels(address, CONNECT_S),  # for our own transport (broker.py)
        # For Flower, which has a client of its own.
        "master_name": address.service,
        "sentinel_kwargs": {**timeouts, **tls, **address.sentinel_login},
    }


_address = _broker()
app = Celery(
    "pushlane_worker",
    broker=_address.for_celery(),
    amqp="pushlane_worker.broker:AMQP",
    include=["pushlane_worker.tasks"],
)
app.conf.update(
    broker_use_ssl=_address.tls,
    task_default_queue=DRAIN_QUEUE,
    task_queues=[Queue(DRAIN_QUEUE), Queue(ENQUEUE_QUEUE)],
    # Only JSON: write access to the broker must not allow running code.
    accept_content=["json"],
    task_serializer="json",
    result_backend=None,
    task_ignore_result=True,
    # Acknowledge late, so that a busy process does not hold a second wake-up that an idle one could take.
    task_acks_late=True,
    task_reject_on_worker_lost=False,
    worker_prefetch_multiplier=1,
    # While the queue is full or unavailable, pushlane.enqueue tasks wait in the worker's memory.
    worker_eta_task_limit=10_000,
    task_track_started=True,
    worker_send_task_events=True,
    # Cancelling a child in mid-push leaves a push of unknown outcome.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_soft_shutdown_timeout=15,
    worker_enable_prefetch_count_reduction=False,
    # Keep trying: giving up is the supervisor's decision. Redis running out of memory must not end the worker.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,
    broker_pool_acquire_timeout=2,
    task_publish_retry=True,
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_max": 0.2},
    broker_transport_options={
        "visibility_timeout": 120,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Without these a publisher hangs as long as Redis does.
        "socket_timeout": 5,
        "socket_connect_timeout": CONNECT_S,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "max_connections": 20,
        **_sentinel_options(_address),
    },
)
app.user_options["worker"].add(
    click.Option(
        ["--metrics-port"],
        type=click.IntRange(1, 65535),
        help="Serve /metrics for Prometheus on this port.",
        metavar="PORT",
    )
)


def consume_also(queues: Iterable[str]) -> None:
    """Makes this worker consume these besides our own two; with ``-Q`` Celery later selects the named ones."""
    for queue in queues:
        app.amqp.queues.add(Queue(queue))
    app.amqp.queues.select(list(app.amqp.queues))
