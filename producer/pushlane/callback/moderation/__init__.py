"""Moderation: from the platform's question to the answer.

::

    endpoint         the route: checks the request, asks the chain, records, answers
    chain            asks the policies one after the other, until the deadline
    policies         the chain of policies in the settings
    length           the built-in policy ``length``
    policy_pool      the processes that run a service's own policies and routing
    policy_process   one of them, as seen from the callback
    policy_program   what runs in it
    user_code        loads policies and routing by their Python paths
"""
