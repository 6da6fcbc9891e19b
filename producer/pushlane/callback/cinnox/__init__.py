"""Messages from CINNOX: the webhook that enqueues them.

::

    webhook   the route
    body      reads what CINNOX sends
"""
