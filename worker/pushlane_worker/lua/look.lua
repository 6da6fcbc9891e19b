#!lua flags=allow-oom
--- Looks which channels of a group have messages. One dispatcher of the fleet a second does, and sweeps these.
-- KEYS[1] looked      the group's
-- KEYS[2] consumers
-- KEYS[3…] channels   pairs: the counters and the sweep of each; at most 200
-- ARGV[1] now         ms, or '' for the server's time
-- ARGV[2] rests_ms    how long nobody else looks
-- Returns {} when another dispatcher looked just now, else {consumed, depth, rested, …}: the queues that some worker
-- consumes, and of each channel its depth, '' where nothing is known of it, and the ms since it was swept.
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
