"""What operators see and do.

::

    inspection     the state of channels
    overview       one channel at one moment
    states         many channels, of which some may not answer
    timeline       what happened to a message
    messages       records of messages that are queued or dead
    dead_letters   the dead letters
    blocked        conversations that make no progress, and why
    audit          who did what
    stream         follows the audit or the decisions as they come
    decisions      how many decisions moderation has made, and how many wait
    decision_list  the decisions themselves
    actions        pause, resume, skip, replay, purge, remove
    bulk           replay or purge all dead letters of a reason, while nobody waits for it
"""
