"""What runs once in every worker, beside its pool: wakes drains and repairs what was lost.

::

    dispatcher   turns rings of the bell into drain tasks; registers channels
    sweeper      sweeps the channels that have messages
    consumers    which Celery queues are consumed
    supervisor   repeats these steps through outages
"""
