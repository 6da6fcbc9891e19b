#!lua flags=allow-oom
--- Records that a Celery queue is consumed or that a worker runs, and forgets what was not announced for a while.
-- KEYS[1] announced   the zset of the queues, or of the workers
-- ARGV[1] now       ms, or '' for the server's time
-- ARGV[2] kept_ms   how long the announcement is valid
-- ARGV[3…] members
-- Returns 0.
--- use channel
local announced, now, kept_ms = KEYS[1], clock(ARGV[1]), tonumber(ARGV[2])
local FIRST = 3

redis.call('ZREMRANGEBYSCORE', announced, '-inf', now)
-- From before the clock stepped back; a small step, as between two servers, must not make a living worker disappear.
redis.call('ZREMRANGEBYSCORE', announced, '(' .. (now + 2 * kept_ms), '+inf')
for i = FIRST, #ARGV do
  redis.call('ZADD', announced, now + kept_ms, ARGV[i])
end
redis.call('PEXPIRE', announced, kept_ms)
return 0
