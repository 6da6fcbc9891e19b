#!lua flags=allow-oom
--- Checks which channels of a group have messages. One dispatcher of the fleet does it each second, and sweeps them.
-- KEYS[1] looked      the group's
-- KEYS[2] consumers
-- KEYS[3…] channels   pairs: the counters and the sweep of each; at most 200
-- ARGV[1] now         ms, or '' for the server's time
-- ARGV[2] rests_ms    how long other dispatchers skip this look
-- Returns {} when another dispatcher has just looked, else {consumed, depth, rested, …}: the queues that some worker
-- consumes, then for each channel its depth ('' if Redis does not know it) and the ms since its last sweep.
--- use channel
local looked, consumers, now, rests_ms = KEYS[1], KEYS[2], clock(ARGV[1]), tonumber(ARGV[2])
local FIRST, GROUP = 3, 2

if not redis.call('SET', looked, 1, 'NX', 'PX', rests_ms) then
  return {}
end
local reply = { redis.call('ZRANGE', consumers, 0, -1) }
for i = FIRST, #KEYS, GROUP do
  reply[#reply + 1] = redis.call('HGET', KEYS[i], 'depth') or ''
  reply[#reply + 1] = now - tonumber(redis.call('HGET', KEYS[i + 1], 'at') or 0)
end
return reply
