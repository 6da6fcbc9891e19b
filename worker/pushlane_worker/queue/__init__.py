"""The queue as the worker sees it: script calls, and pure rules for the results of pushes.

::

    store        the scripts on one Redis client
    turns        a drain's script calls: settle and claim
    rate_clock   an upper bound for the clock of the rate window
    outcome      what came of a push
    retry        an outcome and a history: the next step
"""
