#!lua
--- Queues dead letters again, each at the tail of its conversation with its whole retry budget, oldest first.
-- KEYS[1] prefix   the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now      ms, or '' for the server's time
-- ARGV[2] run      names the zset replay:<run>: ids by acceptance number
-- Returns {replayed, left, full (0 or 1)}: how many this call put back, how many the run still has, and whether the
-- channel is full. {-2} when the channel is not registered.
--- use old_record record channel rest place outcomes gate wake
local prefix, bell, now = KEYS[1], KEYS[2], clock(ARGV[1])
local run = prefix .. 'replay:' .. ARGV[2]
local MAX_WALKED, walked = 200000, 0 -- limits the list elements scanned for a message in the middle
local channel = load_channel(prefix)
if not channel then
  return { -2 }
end

-- As it was accepted, except for the flag that it may have been delivered. Its expiry no longer applies.
local function revived(details)
  return '-' .. field(details, 'flags') .. zeros('attempts', 'part') .. ms(now) .. zeros('due', 'final')
    .. field(details, 'pushed')
end

local function replay(id)
  local record = read_header(prefix, id)
  -- It may have been purged or replayed meanwhile; another layout is left to a newer worker.
  if state_of(record) ~= 'x' or redis.call('ZREM', prefix .. 'dead', id) == 0 then
    return 0
  end
  local details = details_of(prefix, id, record)
  update(prefix, id, record, 'q', revived(details))
  local conversation = conversation_of(record)
  local list = prefix .. 'conversation:' .. conversation
  if field(details, 'part') == LISTED then
    walked = walked + redis.call('LLEN', list)
    redis.call('LREM', list, 1, id)
  end
  redis.call('RPUSH', list, id)
  local due = redis.call('ZSCORE', prefix .. 'delayed', conversation)
  place(prefix, conversation, now, tonumber(due or '0'))
  return 1
end

local depth, replayed, taken = tonumber(redis.call('HGET', prefix .. 'counters', 'depth') or 0), 0, 0
local ids = redis.call('ZRANGE', run, 0, MAX_INSPECTED - 1)
local function is_full()
  return depth + replayed >= channel.max_queued
end
while taken < #ids and walked < MAX_WALKED and not is_full() do
  taken = taken + 1
  replayed = replayed + replay(ids[taken])
end
if taken > 0 then
  redis.call('ZREMRANGEBYRANK', run, 0, taken - 1)
end
count('depth', replayed)
count('replayed', replayed)
write_counters(prefix)
tail(prefix, bell, channel, nil, now, 0)
return { replayed, redis.call('ZCARD', run), taken < #ids and is_full() and 1 or 0 }
