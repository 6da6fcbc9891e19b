"""Every Redis key of the project, with its type, content and lifetime.

All keys of a channel carry the hash tag ``{channel}``, so that one channel is one slot of a Redis Cluster. A channel's
name holds no brace (see ``message.CHANNEL_NAME``), and what comes after the tag cannot change it. Scripts get the
channel's prefix as ``KEYS[1]`` and derive the rest from it.

=====================  ======  ============================================================================  ===========
after the prefix       type    content                                                                       lifetime
=====================  ======  ============================================================================  ===========
``channel``            hash    what producers and scripts need to know: kind, limits, rate; no secret        for ever
``conversation:<id>``  list    message ids, oldest first                                                     till empty
``message:<id>``       string  one packed record (``record.py``)                                             see below
``ready``              zset    conversations that may be pushed now, by the turn they took                   till empty
``delayed``            zset    conversations that back off, by due ms                                        till empty
``leases``             zset    leased conversations, by deadline ms                                          till empty
``claims``             hash    of each lease: token, epoch of the gate, own due ms, message ids              till empty
``rate``               list    ms of its own clock at which pushes ended, inside the rate window             till empty
``gate``               hash    state, paused, until, cap on pushes in flight, reason, epoch                  for ever
``dead``               zset    dead-lettered message ids, by ms                                              till empty
``unknown``            stream  pushes of unknown outcome, about the last 10,000                              for ever
``counters``           hash    monotonic counters, and the depth                                             for ever
``scheduled``          zset    messages that join later, by ms: acceptance number (14 digits) and id          till empty
``held``               zset    conversations whose head is held, by ms of its hold's end or its expiry        till empty
``hold:<key>``         set     messages that wait for a decision on the key                                  8 days
``decision:<key>``     string  a decision on the key: a, w and a body, or f and a reason                     8 days (*)
``blocked``            zset    conversations whose head is in trouble, by ms since when                       till empty
``blocked_by``         hash    of each of these: why                                                         till empty
``replay:<run>``       zset    dead letters that are being replayed, by acceptance number                    an hour
``unreadable``         zset    conversations whose head is of an unknown layout, by ms of the next look      till empty
``resting``            zset    conversations that must not be pushed before this ms                           till empty
``pending``            string  ms of a ring that no drain has answered yet                                   10 s
``listeners``          zset    drains with a free place, by the ms until which they count                    a minute
``turn:<drain>``       string  a drain's last turn, so that a repeated one changes nothing                   5 min
``full``               string  a sweep found Redis near its memory limit: bytes in use                        2 s
``sweep``              hash    when the channel was swept last, since when without a break, who has more     for ever
=====================  ======  ============================================================================  ===========

(*) The moderation's own: the retention.

The moderation's decisions have a prefix of their own, ``{decisions}``, which is the name of no channel's keys:

=====================  ======  ============================================================================  ===========
``stream``             stream  one entry a decision, without what the message said                           retention
``by-key:<key>``       string  a decision's answer: a repeat of its request gets the same one                retention
``by-message:<key>``   string  the first decision on a message's key, whatever it said                       retention
``effects:<key>``      string  what a decision is to do in its channel, until it is done                     till done
``unfed``              zset    decisions whose effects nobody has tried, by a rising ms of their recording   till empty
``last``               string  the ms of the last one that was recorded with effects                         retention
``lane:<lane>``        zset    decisions with an effect that waits for its channel, by the same ms           till empty
``effects:<key>@…``    string  what of a decision is in the lane that it names                               till done
``postponed``          zset    lanes in which something waits, by ms of the next try                         till empty
``verdicts``           hash    monotonic counters of the decisions                                           for ever
=====================  ======  ============================================================================  ===========

A message's record has no lifetime while it is queued or dead; delivered or cancelled it becomes a tombstone that is
kept for the retention, and at least for the rest of the idempotency window.
"""

SCHEMA = 1
PREFIX = f"pushlane:{SCHEMA}:"

DECISIONS_PREFIX = f"{PREFIX}{{decisions}}:"
"""What every key of the moderation's decisions begins with. A channel that is called so has other keys beside them."""

UNFED = f"{DECISIONS_PREFIX}unfed"
"""zset: decisions with effects that nobody has done yet, by the ms from which a worker does them; till done."""

POSTPONED = f"{DECISIONS_PREFIX}postponed"
"""zset: lanes, by the ms of their next try; till empty."""

BELL = f"{PREFIX}bell"
"""zset: channels that need a drain, once each, by the ms of the ring; till empty."""

CHANNELS = f"{PREFIX}channels"
"""set: the names of the registered channels, for operators; for ever."""

CONSUMERS = f"{PREFIX}consumers"
"""zset: the Celery queues that some worker consumes, by the ms until which that counts; 15 s."""

_PERMANENT = (b"conversation:", b"message:", b"effects:", b"lane:")
_PERMANENT_NAMES = frozenset(
    [
        b"channel",
        b"ready",
        b"delayed",
        b"leases",
        b"claims",
        b"scheduled",
        b"blocked",
        b"held",
        b"blocked_by",
        b"unreadable",
        b"resting",
        b"rate",
        b"gate",
        b"dead",
        b"unknown",
        b"counters",
        b"sweep",
        b"stream",
        b"unfed",
        b"postponed",
        b"verdicts",
    ]
)


def channel_prefix(channel: str) -> str:
    """What every key of the channel begins with."""
    return f"{PREFIX}{{{channel}}}:"


def looked_key(group: str) -> str:
    """A string that stands while nobody needs to look at this group of channels; 0.9 s."""
    return f"{PREFIX}looked:{group}"


def is_permanent(key: bytes) -> bool:
    """Whether the key may stand without an expiry: what the queue's truth is made of, and what is empty when idle."""
    if key in {BELL.encode(), CHANNELS.encode()}:
        return True
    name = key.partition(b"}:")[2]
    return name in _PERMANENT_NAMES or name.startswith(_PERMANENT)
