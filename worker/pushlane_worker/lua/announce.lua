#!lua flags=allow-oom
--- Records which Celery queues a worker consumes, and forgets those that no worker has announced for a while.
-- KEYS[1] consumers
-- ARGV[1] now       ms, or '' for the server's time
-- ARGV[2] kept_ms   how long the announcement is valid
-- ARGV[3…] queues
-- Returns 0.
--- use channel
local consumers, now, kept_ms = KEYS[1], clock(ARGV[1]), tonumber(ARGV[2])
local FIRST = 3

redis.call('ZREMRANGEBYSCORE', consumers, '-inf', now)
for i = FIRST, #ARGV do
  redis.call('ZADD', consumers, now + kept_ms, ARGV[i])
end
redis.call('PEXPIRE', consumers, kept_ms)
return 0
