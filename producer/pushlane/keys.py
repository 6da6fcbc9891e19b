"""Every Redis key of the project, with its type, content and lifetime.

All keys of a channel carry the hash tag ``{channel}``, so that they share one slot of a Redis Cluster. A channel's name
contains no brace (see ``message.CHANNEL_NAME``), and nothing after the tag can change it. Scripts get the channel's
prefix as ``KEYS[1]`` and derive the other keys from it.

=====================  ======  ============================================================================  ===========
after the prefix       type    content                                                                       lifetime
=====================  ======  ============================================================================  ===========
``channel``            hash    its version, and what others need to know: kind, limits, rate; no secret      for ever
``conversation:<id>``  list    message ids, oldest first                                                     till empty
``pushes:<id>``        list    the last 20 pushes of the conversation that did not deliver at the first try  retention
``message:<id>``       string  a message's record (``message_record.py``), until it is finished              see below
``details``            hash    by id: what only some messages have (same); by id:trace: their trace context  till empty
``tombstones:<ms>:…``  hash    by id: what is kept of finished messages (``lua/lib_tombstone.lua``)           see below
``ready``              zset    conversations that may be pushed now, in the order in which they became so    till empty
``delayed``            zset    conversations that are backing off, by due ms                                 till empty
``leases``             zset    leased conversations, by deadline ms                                          till empty
``claims``             hash    per lease: token, epoch of the gate, own due ms, message ids                  till empty
``rate``               list    ms (by its own clock) at which the pushes in the rate window ended            till empty
``gate``               hash    state, paused, until, cap on pushes in flight, reason, epoch                  for ever
``dead``               zset    dead-lettered message ids, by ms                                              till empty
``unknown``            stream  pushes of unknown outcome, about the last 10,000                              for ever
``counters``           hash    monotonic counters, the depth, when the generations of tombstones began       for ever
``scheduled``          zset    messages that join later, by ms: acceptance number (14 digits) and id         till empty
``held``               zset    conversations whose head is held, by ms when the hold or the head expires     till empty
``hold:<key>``         set     messages that wait for a decision on the key                                  8 days
``decision:<key>``     string  a decision on the key: a, w and a body, or f and a reason                     8 days (*)
``blocked``            zset    conversations whose head is in trouble, by ms since when                      till empty
``blocked_by``         hash    the reason for each of these                                                  till empty
``replay:<run>``       zset    dead letters that are being replayed, by acceptance number                    an hour
``bulk``               hash    how far a replay or purge of all dead letters of a reason is                  an hour
``unreadable``         zset    conversations whose head has an unknown layout, by ms of the next look        till empty
``resting``            zset    conversations that must not be pushed before this ms                          till empty
``pending``            string  ms of a ring that no drain has answered yet                                   10 s
``listeners``          zset    drains with a free slot, by the ms until which they count                     a minute
``wake``               list    one entry that ends the blocking read of a listening drain                    250 ms
``turn:<drain>``       string  a drain's last turn, so that repeating it changes nothing                     5 min
``full``               string  a sweep found Redis near its memory limit: bytes in use                       2 s
``throughput:<hour>``  hash    messages delivered in each minute of an hour since 1970                       2 h
``sweep``              hash    when last swept, since when without a gap, and which sweeper has more to do   for ever
=====================  ======  ============================================================================  ===========

(*) Decisions by moderation: the retention.

Moderation's decisions have their own prefix, ``{decisions}``; a channel of that name has different keys under it:

=====================  ======  ============================================================================  ===========
``stream``             stream  one entry per decision of the retention, without the message's text           for ever
``by-key:<key>``       string  a decision's answer: a repeated request gets the same one                     retention
``by-message:<key>``   string  the first decision on a message's key, whatever its content                   retention
``effects:<key>``      string  what a decision has to do in its channel                                      till done
``unfed``              zset    decisions with untried effects, by the ms of recording, which only increases  till empty
``last``               string  the ms of the last decision that was recorded with effects                    retention
``lane:<lane>``        zset    decisions with an effect that waits for its channel, by the same ms           till empty
``effects:<key>@…``    string  the effects of a decision that are in the named lane                          till done
``postponed``          zset    lanes with waiting effects, by ms of the next try                             till empty
``verdicts``           hash    monotonic counters of the decisions                                           for ever
=====================  ======  ============================================================================  ===========

So has the page, ``page:{page}``, which a producer's access rule does not allow:

=====================  ======  ============================================================================  ===========
``session:<mac>``      string  who has logged in; ``<mac>`` is made of the cookie and the password           12 h
``active:<mac>``       string  there, until the session has been idle for too long                           30 min
``sessions``           zset    the latest sessions, by ms of login, of which the oldest make room            12 h
``login:<address>``    string  the ms until which tries to log in from an address have used its allowance    a minute
``logins``             string  the same for all addresses together                                           a minute
``proven``             zset    addresses from which somebody has logged in, by ms; exempt from ``logins``    30 days
=====================  ======  ============================================================================  ===========

A record is deleted when its message is delivered or cancelled, or purged as a dead letter. Its tombstone counts for the
retention, and at least for the rest of the idempotency window; its hash expires as long after its last entry. Messages
that the previous release has enqueued have their tombstone in ``message:<id>``.
"""

SCHEMA = 1
PREFIX = f"pushlane:{SCHEMA}:"

DECISIONS_PREFIX = f"{PREFIX}{{decisions}}:"
UNFED = f"{DECISIONS_PREFIX}unfed"
POSTPONED = f"{DECISIONS_PREFIX}postponed"

PAGE_PREFIX = f"{PREFIX}page:{{page}}:"

AUDIT = f"{PREFIX}audit"
"""stream: what operators have done, about the last 10,000 entries; for ever."""

BELL = f"{PREFIX}bell"
"""zset: channels that need a drain, once each, by the ms of the ring; till empty."""

CHANNELS = f"{PREFIX}channels"
"""set: the names of the registered channels, for operators; for ever. Written after a channel's own record.
Readers skip what no channel can be called (``Inspector.channels``)."""

CONSUMERS = f"{PREFIX}consumers"
"""zset: the Celery queues that a worker consumes, by the ms until which the entry counts; 15 s."""

WORKERS = f"{PREFIX}workers"
"""zset: each worker's random id and, after a blank, the queues that it consumes, with commas between; the same."""


def channel_prefix(channel: str) -> str:
    """The prefix of every key of the channel."""
    return f"{PREFIX}{{{channel}}}:"


def channel_of(prefix: str) -> str:
    """The channel with this prefix."""
    return prefix[prefix.index("{") + 1 : prefix.index("}")]


def looked_key(group: str) -> str:
    """A string that exists while nobody needs to look at this group of channels; 0.9 s."""
    return f"{PREFIX}looked:{group}"
