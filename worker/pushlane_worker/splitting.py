"""Poison isolation: how a rejected batch is halved until the message that the API refuses stands alone.

The halves get part labels of their own, and a push carries one label; so they go out one after the other, in order, and
nothing that is added, cancelled or expired meanwhile can mix with a suspect part. For ten messages it takes at most 9
requests with one offender, 15 with two and 17 with three (a test counts all cases).
"""


def left_part(size: int) -> int:
    """How many messages of a rejected batch of two or more go first."""
    return (size + 1) // 2
