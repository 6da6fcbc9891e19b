#!lua
--- Moves the remaining effects of decisions to the lanes of their channels, in the order of the decisions.
-- KEYS[1] prefix   of the decisions
-- ARGV[1] now      ms, or '' for the server's time
-- ARGV[2] wait_ms  until a lane is tried, unless that is already set
-- ARGV[3…] left    groups of 3: decision, lane, effects
-- Returns how many it moved; decisions that were acknowledged in the meantime are skipped.
--- use channel
local prefix, now, wait_ms = KEYS[1], clock(ARGV[1]), tonumber(ARGV[2])
local FIRST, GROUP = 3, 3

local moved = 0
for at = FIRST, #ARGV, GROUP do
  local key, lane = ARGV[at], ARGV[at + 1]
  local recorded = redis.call('ZSCORE', prefix .. 'unfed', key)
  if recorded then
    redis.call('SET', prefix .. 'effects:' .. key .. '@' .. lane, ARGV[at + 2])
    redis.call('ZADD', prefix .. 'lane:' .. lane, recorded, key)
    redis.call('ZADD', prefix .. 'postponed', 'NX', now + wait_ms, lane)
    moved = moved + 1
  end
end
for at = FIRST, #ARGV, GROUP do
  redis.call('ZREM', prefix .. 'unfed', ARGV[at])
  redis.call('DEL', prefix .. 'effects:' .. ARGV[at])
end
return moved
