"""Clients of a Redis Cluster: each command goes to the primary that holds the slot of its first key.

::

    slots        which primary holds which slot, and what an error means
    batch        a pipeline's commands and replies
    blocking     the client for threads
    nonblocking  the client for asyncio

redis-py has a cluster client, and its clients of single servers do the work here. Its cluster client follows ASK: while
a slot moves key by key, our scripts, which derive their keys from one prefix, would run on the half that has arrived.
Here such a call waits until the slot has moved. docs/decisions.md has the other reasons.
"""
