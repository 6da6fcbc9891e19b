"""What operators see and do.

::

    inspection     the state of channels
    dead_letters   the dead letters
    blocked        conversations that make no progress, and why
    actions        pause, resume, skip, replay, purge, remove
"""
