-- Claiming: the batch stays at the head of its list, under a lease; only a settle with its token removes it.
local MAX_BATCHES_BYTES = 4 * 1024 * 1024 -- a turn's reply stays below about this size
local SINGLE_AFTER_LOSSES = 2 -- after this many lost leases in a row a message goes alone: it may be what kills workers

-- Adds a message to the batch if it fits the earlier ones. Returns whether another one may follow.
local function add_to_batch(batch, id, record)
  -- A message is listed twice if it was cancelled in mid-list and sent again after its idempotency key was forgotten.
  for _, listed in ipairs(batch.ids) do
    if listed == id then
      return false
    end
  end
  local address = field(record, 'part') .. string.sub(record, address_span(record))
  local fragile = number(record, 'losses') >= SINGLE_AFTER_LOSSES
  if batch.address and (batch.address ~= address or fragile) then
    return false
  end
  batch.address, batch.bytes = address, batch.bytes + #record
  batch.records[#batch.records + 1], batch.ids[#batch.ids + 1] = record, id
  return not fragile
end

-- The longest prefix with the same sender, receiver and part label. Drops finished messages on the way.
local function read_batch(prefix, conversation, limit, now)
  local list, batch, open = prefix .. 'conversation:' .. conversation, { records = {}, ids = {}, bytes = 0 }, true
  while open do
    open = false
    for _, id in ipairs(redis.call('LRANGE', list, #batch.ids, limit - 1)) do
      local record = redis.call('GET', prefix .. 'message:' .. id) or ''
      if is_over(prefix, id, record, now) then
        redis.call('LREM', list, 1, id)
        drops_left, open = drops_left - 1, drops_left > 1
      elseif state_of(record) ~= 'q' or not add_to_batch(batch, id, record) then
        return batch
      end
    end
  end
  return batch
end

-- due: for a probe ahead of its time, when it would be due; else 0.
local function write_lease(prefix, gate, conversation, ids, token, now, lease_ms, due)
  leave_places(prefix, conversation)
  redis.call('ZADD', prefix .. 'leases', now + lease_ms, conversation)
  redis.call('HSET', prefix .. 'claims', conversation, string.format('%s %d %d ', token, gate.epoch, due)
    .. table.concat(ids, ','))
  if gate.state == 'broken' then
    gate.probe, gate.dirty = token, true
  end
end

-- How many leases the gate, the rate window and the drain's free slots allow now.
local function claim_budget(prefix, channel, gate, now, free)
  if gate_wait(gate, channel, now) ~= 0 then
    return 0
  end
  local leased = redis.call('ZCARD', prefix .. 'leases')
  local room = rate_room(prefix, channel, rate_clock(gate, now), leased)
  if gate.state == 'broken' then
    return math.min(free, room, 1)
  end
  return math.min(free, room, gate_cap(gate, channel) - count_pushing(prefix, channel, now))
end

-- The next conversation and 0, or for a probe ahead of its time the ms until it would be due.
local function next_conversation(prefix, gate, now)
  local ready = redis.call('ZRANGE', prefix .. 'ready', 0, 0)
  if ready[1] or gate.state ~= 'broken' then
    return ready[1], 0
  end
  local delayed, due, early = first_delayed(prefix, gate, now)
  if early then
    return delayed, math.max(due - now, 0)
  end
end

-- Nothing can be claimed: the conversation is empty, its head is held, or its head has a layout that this worker does
-- not know. That one is checked again later.
local function pass_over(prefix, conversation, now)
  local id, record = drop_heads(prefix, conversation, now)
  if not id or state_of(record) then
    place(prefix, conversation, now, 0)
    return
  end
  leave_places(prefix, conversation)
  count('unreadable', 1)
  redis.call('ZADD', prefix .. 'unreadable', now + UNREADABLE_MS, conversation)
  block(prefix, conversation, now, 'its head is in a layout that this version of the workers does not know')
end

-- Returns the claims, each {conversation, token, probe, id, record, id, record …}; see turn.lua for probe.
local function claim_ready(prefix, channel, gate, now, drain, turn, free, lease_ms)
  local claims, inspected, bytes = {}, 0, 0
  local budget = claim_budget(prefix, channel, gate, now, free)
  while #claims < budget and inspected < MAX_INSPECTED and drops_left > 0 and bytes < MAX_BATCHES_BYTES do
    local conversation, early = next_conversation(prefix, gate, now)
    if not conversation then
      break
    end
    local batch = read_batch(prefix, conversation, channel.batch_limit, now)
    local ids = batch.ids
    inspected, bytes = inspected + #ids + 1, bytes + batch.bytes
    if #ids > 0 then
      local token = drain .. ':' .. turn .. ':' .. #claims
      write_lease(prefix, gate, conversation, ids, token, now, lease_ms, early > 0 and now + early or 0)
      local claim = { conversation, token, gate.state == 'broken' and 1 + early or 0 }
      for i, id in ipairs(ids) do
        claim[#claim + 1], claim[#claim + 2] = id, batch.records[i]
      end
      claims[#claims + 1] = claim
    elseif drops_left > 0 then
      pass_over(prefix, conversation, now)
    end
  end
  return claims
end

-- The claims of a turn whose reply was lost, as far as they are still valid.
local function reread_claims(prefix, token_prefix, conversations, now)
  local claims = {}
  for _, conversation in ipairs(conversations) do
    local claim = redis.call('HGET', prefix .. 'claims', conversation)
    if claim and string.sub(claim, 1, #token_prefix) == token_prefix then
      local token, due, listed = string.match(claim, '^(%S+) %d+ (%d+) (.*)$')
      local probes = redis.call('HGET', prefix .. 'gate', 'probe') == token
      local again = { conversation, token, probes and 1 + math.max(tonumber(due) - now, 0) or 0 }
      for id in string.gmatch(listed, '[^,]+') do
        again[#again + 1], again[#again + 2] = id, redis.call('GET', prefix .. 'message:' .. id)
      end
      claims[#claims + 1] = again
    end
  end
  return claims
end
