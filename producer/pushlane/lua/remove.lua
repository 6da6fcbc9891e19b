#!lua flags=allow-oom
--- Removes a channel: first its registration, then some messages per call, at the end all other permanent keys and its
-- throughput, which another channel of this name would be shown with.
-- KEYS[1] prefix    the channel's key prefix
-- ARGV[1] now       ms, or '' for the server's time
-- ARGV[2] force     1 to delete queued messages and dead letters, too
-- Returns {left, depth, dead, served}: 1 when another call has more to do, 0 when all is gone, -1 when it was refused
-- because of messages or dead letters; how many of each there are; 1 when a worker has swept the channel recently (it
-- registers the channel again if it is still running). {-2} when there is no such channel.
--- use old_record record channel throughput
local prefix, now, force = KEYS[1], clock(ARGV[1]), ARGV[2]
local AT_ONCE = 200
local SERVED_MS = 45000 -- workers sweep an idle channel every 20 to 40 s
local NAMES = {
  'channel', 'ready', 'delayed', 'leases', 'claims', 'rate', 'gate', 'dead', 'unknown', 'counters', 'scheduled', 'held',
  'blocked', 'blocked_by', 'resting', 'unreadable', 'pending', 'listeners', 'wake', 'full', 'sweep', 'details', 'bulk',
}
local keys = {}
for i, name in ipairs(NAMES) do
  keys[i] = prefix .. name
end
if redis.call('EXISTS', unpack(keys)) == 0 then
  return { -2 }
end
local depth = tonumber(redis.call('HGET', prefix .. 'counters', 'depth') or 0)
local dead = redis.call('ZCARD', prefix .. 'dead')
local served = now - tonumber(redis.call('HGET', prefix .. 'sweep', 'at') or 0) < SERVED_MS and 1 or 0
if force ~= '1' and depth + dead > 0 then
  return { -1, depth, dead, served }
end
redis.call('DEL', prefix .. 'channel')
-- Before the messages, so that a settlement of a push in flight is stale and touches no list.
for _, conversation in ipairs(redis.call('ZRANGE', prefix .. 'leases', 0, -1)) do
  redis.call('ZADD', prefix .. 'ready', 0, conversation)
end
redis.call('DEL', prefix .. 'leases', prefix .. 'claims')

local left = AT_ONCE

local function forget(id)
  redis.call('UNLINK', prefix .. 'message:' .. id)
  redis.call('HDEL', prefix .. 'details', id, id .. TRACE)
  left = left - 1
end

-- Members and scores alternate.
local function pop(name)
  return redis.call('ZPOPMIN', prefix .. name, left)
end

local letters = pop('dead')
for i = 1, #letters, 2 do
  forget(letters[i])
end
local scheduled = pop('scheduled')
for i = 1, #scheduled, 2 do
  forget(scheduled_id(scheduled[i]))
end
for _, name in ipairs({ 'ready', 'delayed', 'held', 'unreadable' }) do
  while left > 0 do
    local conversation = redis.call('ZRANGE', prefix .. name, 0, 0)[1]
    if not conversation then
      break
    end
    local list = prefix .. 'conversation:' .. conversation
    for _, id in ipairs(redis.call('LPOP', list, left) or {}) do
      forget(id)
    end
    if redis.call('EXISTS', list) == 0 then
      redis.call('ZREM', prefix .. name, conversation)
      left = left - 1
    end
  end
end
if left <= 0 then
  return { 1, depth, dead, served }
end
local minute = math.floor(now / 60000)
redis.call('UNLINK', (throughput_place(prefix, minute - 60)), (throughput_place(prefix, minute)), unpack(keys))
return { 0, depth, dead, served }
