-- What becomes due with time: scheduled messages, conversations whose wait is over, and rate budget.
local MAX_MOVED = 1000
local MAX_JOINED = 500 -- each costs as much as two moves
local UNREADABLE_MS = 60000 -- how long a record in an unknown layout waits until the next look

-- Moves a scheduled message that is due into its conversation, or kills it if it has expired. Returns false when it
-- must wait for another call because this one has dropped enough messages.
local function join(prefix, member, now)
  local id = scheduled_id(member)
  local record = read_header(prefix, id)
  if is_unreadable(record) then
    redis.call('ZADD', prefix .. 'scheduled', now + UNREADABLE_MS, member)
    return true
  end
  if state_of(record) ~= 's' then
    redis.call('ZREM', prefix .. 'scheduled', member)
    return true
  end
  local details = details_of(prefix, id, record)
  local late = has_expired(details, now)
  if late and drops_left <= 0 then
    return false
  end
  redis.call('ZREM', prefix .. 'scheduled', member)
  update(prefix, id, record, 'q', with(details, 'joined', ms(now)))
  if late then
    drops_left = drops_left - 1
    kill(prefix, id, record, now, 'e', TOO_LATE)
    return true
  end
  local conversation = conversation_of(record)
  -- A conversation whose list was not empty is already in its place.
  if redis.call('RPUSH', prefix .. 'conversation:' .. conversation, id) == 1 then
    set_ready(prefix, { conversation }, now)
  end
  return true
end

-- Joins at most MAX_JOINED messages. Returns whether there may be more.
local function join_due(prefix, now)
  local due = redis.call('ZRANGEBYSCORE', prefix .. 'scheduled', '-inf', now, 'LIMIT', 0, MAX_JOINED)
  for _, member in ipairs(due) do
    if not join(prefix, member, now) then
      return true
    end
  end
  return #due >= MAX_JOINED
end

local function make_ready(prefix, conversations, now)
  if #conversations > 0 then
    redis.call('ZREM', prefix .. 'delayed', unpack(conversations))
    set_ready(prefix, conversations, now)
  end
end

-- Removes rests that are over, and those left by a clock that stepped back: at most MAX_MOVED of each.
local function end_rests(prefix, channel, now)
  local resting = prefix .. 'resting'
  local over = redis.call('ZCOUNT', resting, '-inf', now)
  local void = redis.call('ZCOUNT', resting, '(' .. (now + longest_wait(channel)), '+inf')
  redis.call('ZPOPMIN', resting, math.min(over, MAX_MOVED))
  redis.call('ZPOPMAX', resting, math.min(void, MAX_MOVED))
end

-- Makes at most MAX_MOVED conversations ready. After the gate was broken, `release` of them are ready ahead of time.
-- Returns how many it moved.
local function move_due(prefix, channel, gate, now)
  local delayed = prefix .. 'delayed'
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, MAX_MOVED)
  if gate.release > 0 and #due < MAX_MOVED then
    local released = redis.call('ZRANGE', delayed, 0, math.min(gate.release, MAX_MOVED) - 1)
    gate.release, gate.dirty = #released < MAX_MOVED and 0 or gate.release - #released, true
    due = #released > #due and released or due
  end
  make_ready(prefix, due, now)
  local void = redis.call('ZRANGEBYSCORE', delayed, '(' .. (now + longest_wait(channel)), '+inf', 'LIMIT', 0, 100)
  if #void > 0 then
    end_rests(prefix, channel, now)
    make_ready(prefix, void, now)
  end
  return #due
end

-- Retries conversations whose head was in a layout unknown to the worker that claimed: another worker may know it.
local function look_again(prefix, now)
  local due = redis.call('ZRANGEBYSCORE', prefix .. 'unreadable', '-inf', now, 'LIMIT', 0, 100)
  if #due > 0 then
    redis.call('ZREM', prefix .. 'unreadable', unpack(due))
    set_ready(prefix, due, now)
  end
end

-- End times in the future come from a clock that stepped back. The API has counted those pushes already, so they still
-- use rate budget, but as if they had ended now. This runs once per step: later ends are appended behind them.
local function mend_rate(rate, now)
  local newest = tonumber(redis.call('LINDEX', rate, -1) or '')
  if not newest or newest <= now + 1 then
    return
  end
  local ends = redis.call('LRANGE', rate, 0, -1)
  redis.call('DEL', rate)
  for _, ended in ipairs(ends) do
    redis.call('RPUSH', rate, math.min(tonumber(ended), now + 1))
  end
end

-- now: the time of the rate window's own clock.
local function trim_rate(prefix, channel, now)
  local rate = prefix .. 'rate'
  if redis.call('EXISTS', rate) == 0 then
    return
  end
  mend_rate(rate, now)
  for _ = 1, MAX_MOVED do
    local ended = tonumber(redis.call('LINDEX', rate, 0) or '')
    if not ended or now - ended < channel.rate_window_ms then
      return
    end
    redis.call('LPOP', rate)
  end
end
