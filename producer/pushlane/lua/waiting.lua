#!lua flags=no-writes
--- Reads what comes first in a zset of times, and what time it is for the server that has set them.
-- KEYS[1] waiting   the zset, by ms
-- ARGV[1] now       ms, or '' for the server's time
-- ARGV[2] most      how many it reads, at least 1
-- Returns {now, member, ms, …}.
--- use channel
local waiting, now, most = KEYS[1], clock(ARGV[1]), tonumber(ARGV[2])

return { now, unpack(redis.call('ZRANGE', waiting, 0, most - 1, 'WITHSCORES')) }
