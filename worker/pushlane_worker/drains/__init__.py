"""Drains: they claim batches, push them and settle the results, in the loop thread of a pool process.

::

    loop_thread   the thread, its loop, and all drains in it
    handover      which drain of a channel claims
    drain         one drain: a slice of turns, and its report
    capacity      how many pushes a channel may have in flight
    push          one push, from a claim to its settlement
"""
