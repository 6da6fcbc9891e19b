-- The gate: the single record of whether a channel may push. States: open, throttled (until), broken (one probe at a
-- time, the next one not before until). In any of them an operator may have `paused` it, at that ms. `epoch` counts the
-- changes of state: an outcome whose push began in an older epoch no longer affects the gate, so 64 pushes that are
-- throttled at once count once. A gate that a single refusal broke is in doubt at first: `doubts` counts the
-- conversations that were refused in a row, `refused` is the last of them; all others probe at once, one after the
-- other. `limited` is the last conversation that was throttled on its own, `relieved` whether anything was delivered
-- since.
local CAP_AT_START = 4 -- pushes in flight after a start or a break; each success adds one, so it doubles per round trip
local PROBE_FIRST_MS = 1000
local REFUSED_MS = 30000 -- how long until a refused conversation, or a broken channel, is tried again
local LONGEST_PUSH_MS = 120000 -- the settings reject a longer deadline
local DOUBTS = 3 -- if this many different conversations are refused in a row, the channel is at fault
local SAME_LIMIT_MS = 1000 -- two conversations throttled within this time have hit a limit of the channel
local THROTTLE_FIRST_MS = 1000
local THROTTLE_CAP_MS = 60000

local TEXTS = 4 -- how many of these fields, from the first, are texts; the others are numbers
local GATE_FIELDS = {
  'reason', 'probe', 'refused', 'limited', 'until', 'cap', 'failures', 'epoch', 'since', 'throttles', 'release',
  'rejections', 'doubts', 'limited_at', 'relieved', 'stepped',
}

local function load_gate(prefix)
  local values = redis.call('HMGET', prefix .. 'gate', 'state', 'paused', unpack(GATE_FIELDS))
  local gate = { state = values[1] or 'open', paused = values[2], dirty = false }
  for i, name in ipairs(GATE_FIELDS) do
    local value = values[i + 2]
    gate[name] = i <= TEXTS and (value or '') or tonumber(value) or 0
  end
  if gate.cap == 0 then
    gate.cap = CAP_AT_START
  end
  return gate
end

local function save_gate(prefix, gate)
  if gate.dirty then
    local fields = { 'state', gate.state, 'changed', gate.since }
    for _, name in ipairs(GATE_FIELDS) do
      fields[#fields + 1], fields[#fields + 2] = name, gate[name]
    end
    redis.call('HSET', prefix .. 'gate', unpack(fields))
  end
end

local function change_gate(gate, state, reason, now, due)
  gate.state, gate.reason, gate['until'], gate.since = state, reason, due, now
  gate.probe, gate.failures, gate.cap, gate.release = '', 0, CAP_AT_START, 0
  gate.doubts, gate.refused, gate.limited = 0, '', ''
  gate.epoch = gate.epoch + 1
  gate.dirty = true
  gate.change = { state, math.max(due - now, 0), reason } -- for the caller's log
end

-- The clock of the rate window: the server's without its forward steps, so that no step frees rate budget.
local function rate_clock(gate, now)
  return now - gate.stepped
end

-- latest: the latest time that the rate window's clock can show, by the caller's own clock, or '' if that is unknown.
local function take_out_step(gate, channel, now, latest)
  local ahead = rate_clock(gate, now) - (tonumber(latest) or math.huge)
  if channel.rate_limit > 0 and ahead > 0 then
    gate.stepped, gate.dirty = gate.stepped + ahead, true
  end
end

-- The longest wait that a conversation can have; a longer one means that the clock stepped back.
local function longest_wait(channel)
  return math.max(channel.backoff_cap_ms, channel.retry_after_cap_ms, LONGEST_PUSH_MS)
end

-- Milliseconds until the gate lets a push through: 0 for now, -1 if that depends on an outcome (of a probe that is out)
-- or an operator. A wait that is longer than possible means that the clock stepped back, and is ignored.
local function gate_wait(gate, channel, now)
  if gate.paused then
    return -1
  end
  if gate.state == 'open' then
    return 0
  end
  if gate.probe ~= '' then
    return -1
  end
  if gate.doubts > 0 then
    return 0 -- for conversations that were not refused; the others have their own wait
  end
  local wait = gate['until'] - now
  local longest = gate.state == 'throttled' and math.max(channel.retry_after_cap_ms, THROTTLE_CAP_MS)
    or math.max(channel.breaker_cap_ms, REFUSED_MS)
  if wait > longest then
    return 0
  end
  return math.max(wait, 0)
end

-- How many pushes may be in flight. While they fail, no more than the failures that would break the gate: an outage at
-- full speed must not tie up all slots of all workers first.
local function gate_cap(gate, channel)
  if gate.failures == 0 then
    return gate.cap
  end
  return math.min(gate.cap, math.max(channel.breaker_after - gate.failures, 1))
end

-- When a throttle is over, the gate opens with a slow start.
local function open_when_due(gate, channel, now)
  if gate.state == 'throttled' and gate_wait(gate, channel, now) == 0 then
    local release = gate.release
    change_gate(gate, 'open', '', now, 0)
    gate.release = release
  end
end

local tell_gate
do
  local function throttle(prefix, gate, now, wait, detail)
    if wait < 0 then
      wait = math.min(THROTTLE_FIRST_MS * 2 ^ gate.throttles, THROTTLE_CAP_MS)
    end
    local delays = gate.state == 'broken' and gate.doubts == 0
    local release = delays and redis.call('ZCARD', prefix .. 'delayed') or gate.release
    change_gate(gate, 'throttled', detail, now, now + wait)
    gate.throttles, gate.release = math.min(gate.throttles + 1, 16), release
  end

  -- For an answer that may be the fault of the channel or only of its conversation: the gate breaks at once, and the
  -- other conversations are tried.
  local function refuse(gate, conversation, now, reason)
    if gate.state ~= 'broken' then
      local cap, release = gate.cap, gate.release
      change_gate(gate, 'broken', reason, now, now + REFUSED_MS)
      gate.cap, gate.release, gate.doubts, gate.refused = cap, release, 1, conversation
      return
    end
    gate.reason, gate.probe, gate['until'], gate.dirty = reason, '', now + REFUSED_MS, true
    if gate.doubts > 0 and conversation ~= gate.refused then
      gate.doubts, gate.refused = (gate.doubts + 1) % DOUBTS, conversation
    end
  end

  -- A delivery or a rejection shows that the channel works. A gate that was in doubt opens as it was; after a real
  -- break it opens with a slow start, and releases all conversations that the break has delayed.
  local function answered(prefix, gate, outcome, now)
    if gate.state ~= 'open' then
      local cap, release = gate.cap, gate.release
      if gate.doubts == 0 then
        cap, release = CAP_AT_START, redis.call('ZCARD', prefix .. 'delayed')
      end
      change_gate(gate, 'open', '', now, 0)
      gate.cap, gate.release = cap, release
    end
    if gate.failures > 0 or gate.throttles > 0 then
      gate.failures, gate.throttles, gate.dirty = 0, 0, true
    end
    if outcome == DELIVERED and (gate.rejections > 0 or gate.limited ~= '' and gate.relieved == 0) then
      gate.rejections, gate.relieved, gate.dirty = 0, 1, true
    end
    if gate.cap < 2 * gate.used then
      gate.cap, gate.dirty = gate.cap + 1, true
    end
  end

  -- While broken: the wait for the next probe is a fifth of the outage's age.
  local function failed(gate, channel, now, detail)
    if gate.state == 'broken' then
      local wait = math.max(PROBE_FIRST_MS, math.min((now - gate.since) / 5, channel.breaker_cap_ms))
      gate.reason, gate.probe, gate['until'], gate.dirty = detail, '', math.floor(now + wait), true
      gate.doubts = 0
      return
    end
    gate.failures, gate.dirty = gate.failures + 1, true
    if gate.failures >= channel.breaker_after then
      change_gate(gate, 'broken', 'failing: ' .. detail, now, now + PROBE_FIRST_MS)
    end
  end

  -- settled.wait: the ms that a throttled answer asked for, or -1. gate.used: how many pushes were in flight before
  -- this turn settled any.
  function tell_gate(prefix, gate, channel, outcome, epoch, now, settled)
    if epoch ~= gate.epoch then
      return
    end
    if outcome == THROTTLED then
      throttle(prefix, gate, now, settled.wait, settled.detail)
    elseif outcome == MISCONFIGURED then
      refuse(gate, settled.conversation, now, 'misconfigured: ' .. settled.detail)
    elseif outcome == SUSPECT then
      refuse(gate, settled.conversation, now, 'suspect: ' .. settled.detail)
    elseif outcome == DELIVERED or outcome == REJECTED then
      answered(prefix, gate, outcome, now)
    elseif outcome == FAILED or outcome == UNKNOWN then
      failed(gate, channel, now, settled.detail)
    elseif outcome == UNSENT and gate.state == 'broken' then
      gate.probe, gate.dirty = '', true
    end
  end
end
