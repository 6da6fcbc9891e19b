"""The meaning of CINNOX's documented error codes, for every kind whose answers carry them.

CINNOX does not document which HTTP status carries which code, so both are read (``envelope.py``).
"""

from pushlane.outcome import Outcome
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels.envelope import Codes

_DESTINATION_NOT_FOUND = frozenset({3000203, 3000205})
_OUTCOMES = {
    6451010: Outcome.THROTTLED,  # "Too many requests"
    6450001: Outcome.MISCONFIGURED,  # "method not found"
    400: Outcome.REJECTED,
    6451000: Outcome.REJECTED,  # "wrong parameter"
    **dict.fromkeys(_DESTINATION_NOT_FOUND, Outcome.REJECTED),
    6451001: Outcome.FAILED,  # "Bad response from the service"
}


def codes(settings: ChannelSettings) -> Codes:
    """The table of one channel; its own ``RETRY_CODES`` and ``REJECT_CODES`` override the documented meaning."""
    retried, rejected = settings.retry_codes, settings.reject_codes
    own = {**dict.fromkeys(retried, Outcome.FAILED), **dict.fromkeys(rejected, Outcome.REJECTED)}
    empty = Outcome[settings.on_empty_answer.upper()]
    return Codes({**_OUTCOMES, **own}, whole=_DESTINATION_NOT_FOUND, empty=empty)
