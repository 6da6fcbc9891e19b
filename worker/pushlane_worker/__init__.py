"""The Celery side of Pushlane: workers that batch queued messages into pushes.

``celery -A pushlane_worker worker`` finds the app in ``celery.py``. ``docs/how-it-works.md`` has the reading order.

::

    celery            the Celery app
    tasks             the task ``pushlane.drain``, and a worker's start and end
    enqueue           the task ``pushlane.enqueue``
    task_message      what a task's message may contain
    broker            the connection to the broker
    monitoring        what Flower and the log show of a drain
    json_log          what Celery logs and prints, as JSON
    metrics_server    ``/metrics`` on a port of its own
    dispatcher_step   runs the dispatcher in a worker
    dispatch          the dispatcher and its sweeps
    drains            claims batches and pushes them
    heartbeat         a file whose age says whether a worker works
    queue             script calls, and the next step after a push
    channels          kinds of channel, and HTTP
    settings          the worker's settings; channel_settings: those of a channel
    telemetry         the worker's log
    library_log       what Celery and Flower log of a broker that is away
    errors            the worker's errors
    decoding          compressed bodies, within a bound
    proxy             the address of a proxy
    embedded          a Redis server for the demo and the tests
    fake_api          a chat API for the demo, tests and users' CI
    child_process     child processes that die with their parent
    cli               the ``pushlane`` command
    lua               the worker's scripts
"""
