#!lua flags=allow-oom
--- Takes the look at a group of channels, which one dispatcher of the fleet does each second.
-- KEYS[1] looked     the group's
-- ARGV[1] now        ms, or '' for the server's time
-- ARGV[2] rests_ms   how long other dispatchers skip this look
-- Returns now, or 0 when another dispatcher has just looked.
--- use channel
local looked, now, rests_ms = KEYS[1], clock(ARGV[1]), tonumber(ARGV[2])

return redis.call('SET', looked, 1, 'NX', 'PX', rests_ms) and now or 0
