"""Poison isolation: a rejected batch is halved until the message that the API refuses is alone.

The halves get different part labels, and a push carries only one label. So they are pushed one after the other, in
order, and messages that are added, cancelled or expired meanwhile cannot change a suspect part. Ten messages take at
most 9 requests with one offender, 15 with two and 17 with three (a test counts all cases).
"""


def left_part(size: int) -> int:
    """How many messages of a rejected batch of two or more go first."""
    return (size + 1) // 2
