-- Settling one lease: what its outcome does to the batch, to the rate window and to the gate.
local SUSPECT_AFTER = 20
local SUSPECTS_KEPT_MS = 86400000
local LIST_UNKNOWN = 10000 -- pushes of unknown outcome that stay listed, about

-- Adds an attempt to the messages of a batch. `dead` says which of them have spent their budget: a '1' in its place.
-- A lease that ran out counts the losses in a row, any other outcome starts them anew.
local function spend_attempt(prefix, conversation, ids, now, settled)
  for i, id in ipairs(ids) do
    local key = prefix .. 'message:' .. id
    local record = redis.call('GETRANGE', key, 0, 17)
    local attempts = math.min(tonumber(string.sub(record, 5, 8)) + 1, 9999)
    local losses = settled.lost and math.min(tonumber(string.sub(record, 9, 10)) + 1, 99) or 0
    local flags = settled.outcome == UNKNOWN and 'm' or string.sub(record, 4, 4)
    redis.call('SETRANGE', key, 3, flags .. string.format('%04d%02d', attempts, losses))
    redis.call('SETRANGE', key, 97, ms(now))
    if string.sub(settled.dead, i, i) == '1' then
      kill(prefix, id, now, settled.reason, settled.detail)
      redis.call('LREM', prefix .. 'conversation:' .. conversation, 1, id) -- a replay may list it again at any time
    end
  end
end

-- An unknown outcome that is no attempt: an early probe's. What was in it may have arrived all the same.
local function mark_maybe_delivered(prefix, ids, now)
  for _, id in ipairs(ids) do
    redis.call('SETRANGE', prefix .. 'message:' .. id, 3, 'm')
    redis.call('SETRANGE', prefix .. 'message:' .. id, 97, ms(now))
  end
end

-- Gives the two halves of a rejected batch labels of their own, so that they are pushed apart. It is no attempt.
local function split_batch(prefix, ids, size)
  local label = redis.call('HINCRBY', prefix .. 'counters', 'parts', 2)
  for i, id in ipairs(ids) do
    local part = (label - (i <= size and 1 or 0)) % 100000000
    redis.call('SETRANGE', prefix .. 'message:' .. id, 10, string.format('%08d', part))
  end
end

-- Whether a rejection is taken for a fault of the channel: so many single messages of different conversations were
-- rejected in a row, and none delivered between, that the messages can hardly be to blame.
local function is_suspect(prefix, gate, conversation, ids)
  if #ids == 1 then
    redis.call('SADD', prefix .. 'suspects', conversation)
    redis.call('PEXPIRE', prefix .. 'suspects', SUSPECTS_KEPT_MS)
    gate.rejections, gate.dirty = redis.call('SCARD', prefix .. 'suspects'), true
  end
  return gate.rejections >= SUSPECT_AFTER
end

local function list_unknown(prefix, conversation, ids, now, settled)
  redis.call('XADD', prefix .. 'unknown', 'MAXLEN', '~', LIST_UNKNOWN, '*', 'at', now, 'conversation', conversation,
    'message_ids', table.concat(ids, ','), 'detail', settled.detail, 'lost', settled.lost and 1 or 0)
end

-- The batch is the head of its list: nothing but a settle takes a leased message from there.
local function deliver(prefix, channel, conversation, ids, now)
  redis.call('LPOP', prefix .. 'conversation:' .. conversation, #ids)
  for _, id in ipairs(ids) do
    entomb(channel, prefix .. 'message:' .. id, 'd', now, true)
  end
  count('delivered', #ids)
  count('depth', -#ids)
end

local OUTCOME_COUNTERS = {
  'pushes_delivered', 'pushes_throttled', 'pushes_misconfigured', 'pushes_rejected', 'pushes_failed', 'pushes_unknown',
  'pushes_unsent',
}

-- The lease as it was claimed, or nil when this token is not the current one.
local function end_lease(prefix, conversation, token)
  local claim = redis.call('HGET', prefix .. 'claims', conversation)
  if not claim then
    return nil
  end
  local held, epoch, due, listed = string.match(claim, '^(%S+) (%d+) (%d+) (.*)$')
  if held ~= token then
    return nil
  end
  redis.call('HDEL', prefix .. 'claims', conversation)
  redis.call('ZREM', prefix .. 'leases', conversation)
  local ids = {}
  for id in string.gmatch(listed, '[^,]+') do
    ids[#ids + 1] = id
  end
  return { ids = ids, epoch = tonumber(epoch), due = tonumber(due) }
end

-- Returns 1; 0 for a stale token, which settles nothing; 2 for a rejection that killed nothing.
local function settle(prefix, channel, gate, now, settled)
  local conversation, outcome = settled.conversation, settled.outcome
  local lease = end_lease(prefix, conversation, settled.token)
  if not lease then
    count('settled_stale', 1)
    return 0
  end
  count(OUTCOME_COUNTERS[outcome], 1)
  if settled.reached and channel.rate_limit > 0 then
    -- The next ms: the clock is cut to whole ms, and a place must not be free a part of one too early.
    redis.call('RPUSH', prefix .. 'rate', now + 1)
    redis.call('PEXPIRE', prefix .. 'rate', channel.rate_window_ms)
  end
  local due = lease.due -- a probe that was claimed early and is given back waits on
  if outcome == DELIVERED then
    deliver(prefix, channel, conversation, lease.ids, now)
    if gate.rejections > 0 then
      redis.call('DEL', prefix .. 'suspects')
      gate.rejections, gate.dirty = 0, true
    end
  elseif outcome == REJECTED and is_suspect(prefix, gate, conversation, lease.ids) then
    outcome = SUSPECT
  elseif settled.split > 0 then
    split_batch(prefix, lease.ids, settled.split)
  elseif outcome == FAILED or outcome == UNKNOWN or outcome == REJECTED then
    due = now + settled.wait
    if settled.dead ~= '' then
      spend_attempt(prefix, conversation, lease.ids, now, settled)
    elseif outcome == UNKNOWN then
      mark_maybe_delivered(prefix, lease.ids, now)
    end
    if outcome == UNKNOWN then
      list_unknown(prefix, conversation, lease.ids, now, settled)
    end
  end
  if outcome == DELIVERED or outcome == REJECTED or not string.find(settled.dead, '0') and settled.dead ~= '' then
    unblock(prefix, conversation)
  elseif outcome == FAILED or outcome == UNKNOWN then
    block(prefix, conversation, now, settled.detail)
  end
  place(prefix, conversation, now, due)
  -- A lease that ran out tells of a worker, not of the API: for the gate it is as if it had never been sent.
  tell_gate(gate, channel, settled.lost and UNSENT or outcome, lease.epoch, now, settled.wait, settled.detail,
    redis.call('ZCARD', prefix .. 'delayed'))
  return outcome == SUSPECT and 2 or 1
end
