-- What time makes possible again: conversations whose wait is over, and places in the rate window.
local MAX_MOVED = 1000

local function make_ready(prefix, conversations)
  for _, conversation in ipairs(conversations) do
    redis.call('ZREM', prefix .. 'delayed', conversation)
    set_ready(prefix, conversation)
  end
end

-- Moves at most MAX_MOVED conversations. After a break of the gate, `release` of them are ready whatever their time.
-- Returns how many it moved.
local function move_due(prefix, channel, gate, now)
  local delayed = prefix .. 'delayed'
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, MAX_MOVED)
  if gate.release > 0 and #due < MAX_MOVED then
    local released = redis.call('ZRANGE', delayed, 0, math.min(gate.release, MAX_MOVED) - 1)
    gate.release, gate.dirty = #released < MAX_MOVED and 0 or gate.release - #released, true
    due = #released > #due and released or due
  end
  make_ready(prefix, due)
  -- A wait longer than the longest backoff comes from a clock that stepped back.
  local void = redis.call('ZRANGEBYSCORE', delayed, '(' .. (now + channel.backoff_cap_ms), '+inf', 'LIMIT', 0, 100)
  make_ready(prefix, void)
  return #due
end

-- Conversations whose head was of a layout unknown to the worker that met it: perhaps another one knows it.
local function look_again(prefix, now)
  local due = redis.call('ZRANGEBYSCORE', prefix .. 'unreadable', '-inf', now, 'LIMIT', 0, 100)
  for _, conversation in ipairs(due) do
    redis.call('ZREM', prefix .. 'unreadable', conversation)
    set_ready(prefix, conversation)
  end
end

local function trim_rate(prefix, channel, now)
  local rate = prefix .. 'rate'
  for _ = 1, MAX_MOVED do
    local ended = tonumber(redis.call('LINDEX', rate, 0) or '')
    -- One in the future comes from a clock that stepped back.
    if not ended or (now - ended < channel.rate_window_ms and ended <= now + 1) then
      return
    end
    redis.call('LPOP', rate)
  end
end
