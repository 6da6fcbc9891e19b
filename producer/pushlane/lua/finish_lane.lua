#!lua flags=allow-oom
--- Removes what is done from a lane, and sets when the lane is tried again, unless it is empty.
-- KEYS[1] prefix      of the decisions
-- ARGV[1] now         ms, or '' for the server's time
-- ARGV[2] lane
-- ARGV[3] wait_ms     until it is tried again
-- ARGV[4…] decisions  whose effects are done
-- Returns how many are left in it.
--- use channel
local prefix, now, lane, wait_ms = KEYS[1], clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local FIRST = 4

for at = FIRST, #ARGV do
  redis.call('ZREM', prefix .. 'lane:' .. lane, ARGV[at])
  redis.call('DEL', prefix .. 'effects:' .. ARGV[at] .. '@' .. lane)
end
local left = redis.call('ZCARD', prefix .. 'lane:' .. lane)
if left > 0 then
  redis.call('ZADD', prefix .. 'postponed', now + wait_ms, lane)
else
  redis.call('ZREM', prefix .. 'postponed', lane)
end
return left
