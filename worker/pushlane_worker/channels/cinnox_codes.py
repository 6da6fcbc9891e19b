"""The meaning of CINNOX's documented error codes, for every kind whose answers carry them.

CINNOX does not document which HTTP status carries which code, so both are read (``envelope.py``).
"""

from collections.abc import Iterable

from pushlane_worker.channels.envelope import Codes
from pushlane_worker.queue.outcome import Outcome

_DESTINATION_NOT_FOUND = frozenset({3000203, 3000205})
_OUTCOMES = {
    6451010: Outcome.THROTTLED,  # "Too many requests"
    6450001: Outcome.MISCONFIGURED,  # "method not found"
    400: Outcome.REJECTED,
    6451000: Outcome.REJECTED,  # "wrong parameter"
    **dict.fromkeys(_DESTINATION_NOT_FOUND, Outcome.REJECTED),
    6451001: Outcome.FAILED,  # "Bad response from the service"
}


def codes(retry_codes: Iterable[int] = (), reject_codes: Iterable[int] = (), empty: Outcome = Outcome.UNKNOWN) -> Codes:
    """The table of one channel.

    Args:
        retry_codes: Codes beyond the documented ones that mean "failed, try again".
        reject_codes: Codes that mean "these messages are refused". Both lists override the documented meaning.
        empty: What a 2xx without a body means.
    """
    own = {**dict.fromkeys(retry_codes, Outcome.FAILED), **dict.fromkeys(reject_codes, Outcome.REJECTED)}
    return Codes({**_OUTCOMES, **own}, whole=_DESTINATION_NOT_FOUND, empty=empty)
