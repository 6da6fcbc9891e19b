-- The wake-up protocol: claimable work always has a ring, a task on its way, or a listening drain with a free slot.
-- Checked exhaustively on a small model (docs/how-it-works.md); `tail` ends every script that can change this.
local TICKET_MS = 1000 -- a ring that no drain answered in this time counts as lost
local LISTEN_MS = 250 -- a drain that has not reported for this long no longer counts as a listener

local SOON_MS = 1000 -- a drain waits for what is due within this time, and a sweep rings for it

-- How many more pushes the rate window has room for, and the ms until there is room for one (0 for now, -1 if only the
-- end of a lease can make it).
local function rate_room(prefix, channel, now, leased)
  if channel.rate_limit == 0 then
    return math.huge, 0
  end
  local used = redis.call('LLEN', prefix .. 'rate') + leased
  if used < channel.rate_limit then
    return channel.rate_limit - used, 0
  end
  local ended = redis.call('LINDEX', prefix .. 'rate', used - channel.rate_limit)
  if not ended then
    return 0, -1
  end
  return 0, math.max(tonumber(ended) + channel.rate_window_ms - now, 0)
end

-- Leases whose push may be in flight. One that is older than the longest push belongs to a worker that died: it keeps
-- its part of the rate budget, but must not count against the gate's cap until it expires.
local function count_pushing(prefix, channel, now)
  return redis.call('ZCOUNT', prefix .. 'leases', '(' .. (now + channel.lease_rest_ms), '+inf')
end

-- The delayed conversation that is due first, when that is, and whether it may probe before: an outage must not last
-- longer because a few conversations are backing off. A gate in doubt probes none early, as it may have been that one's
-- fault.
local function first_delayed(prefix, gate, now)
  local first = redis.call('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')
  if not first[1] then
    return nil, math.huge, false
  end
  local early = gate.state == 'broken' and gate.doubts == 0 and rests_until(prefix, first[1]) <= now
  return first[1], tonumber(first[2]), early
end

-- Milliseconds until there is a conversation to claim, -1 for never.
local function work_wait(prefix, gate, now)
  if redis.call('ZCARD', prefix .. 'ready') > 0 then
    return 0
  end
  local delayed, due, early = first_delayed(prefix, gate, now)
  local scheduled = redis.call('ZRANGE', prefix .. 'scheduled', 0, 0, 'WITHSCORES')[2]
  if not delayed and not scheduled then
    return -1
  end
  return early and 0 or math.max(math.min(due, tonumber(scheduled) or math.huge) - now, 0)
end

-- Milliseconds until something can be claimed: 0 for now; -1 if that takes an outcome or an enqueue first. And what the
-- wait is for: 'empty' for work to become due, 'rate' or 'gate'.
local function claim_wait(prefix, channel, gate, now)
  local wait, why = work_wait(prefix, gate, now), 'empty'
  if wait < 0 then
    return -1, why
  end
  local at_gate = gate_wait(gate, channel, now)
  if at_gate < 0 or gate.state == 'open' and count_pushing(prefix, channel, now) >= gate_cap(gate, channel) then
    return -1, 'gate'
  end
  local _, at_rate = rate_room(prefix, channel, rate_clock(gate, now), redis.call('ZCARD', prefix .. 'leases'))
  if at_rate < 0 then
    return -1, 'rate'
  end
  if at_gate > wait then
    wait, why = at_gate, 'gate'
  end
  if at_rate > wait then
    wait, why = at_rate, 'rate'
  end
  return wait, why
end

local function channel_name(prefix)
  return string.match(prefix, '{(.*)}')
end

local function ring_is_out(prefix, now)
  local pending = tonumber(redis.call('GET', prefix .. 'pending') or '')
  return pending ~= nil and now - pending >= 0 and now - pending < TICKET_MS
end

local function set_pending(prefix, now)
  redis.call('SET', prefix .. 'pending', now, 'PX', TICKET_MS * 10)
end

local function someone_listens(prefix, now)
  -- One further ahead comes from a clock that stepped back.
  return redis.call('ZCOUNT', prefix .. 'listeners', '(' .. now, now + LISTEN_MS) > 0
end

-- Ends the blocking read of a listening drain that waits for the next message; of several the one that has waited
-- longest. One entry is enough: whoever gets it claims all that there is.
local function wake(prefix)
  if redis.call('LLEN', prefix .. 'wake') == 0 then
    redis.call('RPUSH', prefix .. 'wake', 1)
    redis.call('PEXPIRE', prefix .. 'wake', LISTEN_MS)
  end
end

-- bell: nil in a cluster. ahead: also ring for what becomes claimable within this many ms (0 except for a sweep).
local function ring(prefix, bell, channel, gate, now, ahead)
  if ring_is_out(prefix, now) then
    return
  end
  local wait = claim_wait(prefix, channel, gate or load_gate(prefix), now)
  if wait >= 0 and wait <= ahead then
    set_pending(prefix, now)
    if bell then
      redis.call('ZADD', bell, 'NX', now, channel_name(prefix))
    else
      rang = now -- in a cluster, the caller rings (scripts.py)
    end
  end
end

local function tail(prefix, bell, channel, gate, now, ahead)
  if someone_listens(prefix, now) then
    wake(prefix)
  else
    ring(prefix, bell, channel, gate, now, ahead)
  end
end
