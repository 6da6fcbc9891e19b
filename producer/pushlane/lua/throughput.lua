#!lua flags=no-writes
--- Reads how many messages of a channel were delivered in each of the last 60 minutes.
-- KEYS[1] prefix   the channel's key prefix
-- ARGV[1] now      ms, or '' for the server's time
-- Returns {count, …}: oldest first, the minute that has just begun last.
--- use channel throughput
local prefix, now = KEYS[1], clock(ARGV[1])
local MINUTES = 60

local last, counts = math.floor(now / 60000), {}
for minute = last - MINUTES + 1, last do
  counts[#counts + 1] = tonumber(redis.call('HGET', throughput_place(prefix, minute)) or 0)
end
return counts
