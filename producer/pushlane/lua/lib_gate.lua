-- The gate: a channel's one record of whether it may push. States: open, throttled (until), broken (one probe at a time,
-- the next one not before until). Over each of them an operator may have `paused` it, since so many ms. `epoch` counts its changes of state: an outcome whose push began in an older epoch
-- moves the gate no more, so 64 pushes that are throttled at once count once.
local CAP_AT_START = 4 -- pushes in flight after a start or a break; each success adds one, so it doubles a round trip
local PROBE_FIRST_MS = 1000
local PROBE_MISCONFIGURED_MS = 30000
local THROTTLE_FIRST_MS = 1000
local THROTTLE_CAP_MS = 60000

local GATE_NUMBERS = { 'until', 'cap', 'failures', 'epoch', 'since', 'throttles', 'release', 'rejections' }

local function load_gate(prefix)
  local values = redis.call('HMGET', prefix .. 'gate', 'state', 'reason', 'probe', 'paused', unpack(GATE_NUMBERS))
  local gate = { state = values[1] or 'open', reason = values[2] or '', probe = values[3] or '', paused = values[4], dirty = false }
  for i, name in ipairs(GATE_NUMBERS) do
    gate[name] = tonumber(values[i + 4]) or 0
  end
  if gate.cap == 0 then
    gate.cap = CAP_AT_START
  end
  return gate
end

local function save_gate(prefix, gate)
  if gate.dirty then
    redis.call('HSET', prefix .. 'gate', 'state', gate.state, 'reason', gate.reason, 'probe', gate.probe,
      'until', gate['until'], 'cap', gate.cap, 'failures', gate.failures, 'epoch', gate.epoch, 'since', gate.since,
      'throttles', gate.throttles, 'release', gate.release, 'rejections', gate.rejections, 'changed', gate.changed or gate.since)
  end
end

local function change_gate(gate, state, reason, now, due)
  gate.state, gate.reason, gate['until'], gate.since, gate.changed = state, reason, due, now, now
  gate.probe, gate.failures, gate.cap, gate.release = '', 0, CAP_AT_START, 0
  gate.epoch = gate.epoch + 1
  gate.dirty = true
end

-- Milliseconds until the gate lets a push through: 0 now, -1 when only an outcome (a probe is out) or an operator can
-- tell. A wait longer than its kind can be comes from a clock that stepped back, and is void.
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
  local wait = gate['until'] - now
  local longest = gate.state == 'throttled' and math.max(channel.retry_after_cap_ms, THROTTLE_CAP_MS)
    or math.max(channel.breaker_cap_ms, PROBE_MISCONFIGURED_MS)
  if wait > longest then
    return 0
  end
  return math.max(wait, 0)
end

-- How many pushes may be in flight. While they fail, no more than it still takes to break the gate: an outage that strikes
-- at full speed shall not be met by all places of all workers first.
local function gate_cap(gate, channel)
  if gate.failures == 0 then
    return gate.cap
  end
  return math.min(gate.cap, math.max(channel.breaker_after - gate.failures, 1))
end

-- A throttle that is over leaves the gate open, with the slow start.
local function open_when_due(gate, channel, now)
  if gate.state == 'throttled' and gate_wait(gate, channel, now) == 0 then
    change_gate(gate, 'open', '', now, 0)
  end
end

local function throttle(gate, now, wait, detail)
  if wait < 0 then
    wait = math.min(THROTTLE_FIRST_MS * 2 ^ gate.throttles, THROTTLE_CAP_MS)
  end
  change_gate(gate, 'throttled', detail, now, now + wait)
  gate.throttles = math.min(gate.throttles + 1, 16)
end

-- While broken: the wait for the next probe is a fifth of the outage's age.
local function probe_failed(gate, channel, now, detail)
  local wait = math.max(PROBE_FIRST_MS, math.min((now - gate.since) / 5, channel.breaker_cap_ms))
  gate.reason, gate.probe, gate['until'], gate.dirty = detail, '', math.floor(now + wait), true
end

-- wait: what a throttled answer asked for, ms, or -1. delayed: how many conversations are so. gate.used: how many pushes
-- were in flight before this turn settled any.
local function tell_gate(gate, channel, outcome, epoch, now, wait, detail, delayed)
  if epoch ~= gate.epoch then
    return
  end
  if outcome == THROTTLED then
    throttle(gate, now, wait, detail)
  elseif outcome == MISCONFIGURED then
    change_gate(gate, 'broken', 'misconfigured: ' .. detail, now, now + PROBE_MISCONFIGURED_MS)
  elseif outcome == SUSPECT then
    if gate.state == 'broken' then
      probe_failed(gate, channel, now, gate.reason)
    else
      change_gate(gate, 'broken', 'suspect: ' .. detail, now, now + PROBE_MISCONFIGURED_MS)
    end
  elseif outcome == DELIVERED or outcome == REJECTED then
    if gate.state ~= 'open' then
      change_gate(gate, 'open', '', now, 0)
      gate.release = delayed
    end
    if gate.failures > 0 or gate.throttles > 0 then
      gate.failures, gate.throttles, gate.dirty = 0, 0, true
    end
    if gate.cap < 2 * gate.used then
      gate.cap, gate.dirty = gate.cap + 1, true
    end
  elseif outcome == FAILED or outcome == UNKNOWN then
    if gate.state == 'broken' then
      probe_failed(gate, channel, now, detail)
    else
      gate.failures, gate.dirty = gate.failures + 1, true
      if gate.failures >= channel.breaker_after then
        change_gate(gate, 'broken', 'failing: ' .. detail, now, now + PROBE_FIRST_MS)
      end
    end
  elseif outcome == UNSENT and gate.state == 'broken' then
    gate.probe, gate.dirty = '', true
  end
end
