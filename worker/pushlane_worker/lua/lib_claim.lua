-- Claiming: the batch stays at the head of its list, under a lease; only a settle with its token removes it.
local MAX_BATCHES_BYTES = 4 * 1024 * 1024 -- a turn's reply stays below about this size
local UNREADABLE_MS = 60000 -- how long a conversation waits whose head is of an unknown layout
local SINGLE_AFTER_LOSSES = 2 -- after so many leases lost in a row a message goes alone: it may be what kills workers

-- The longest prefix with one sender, receiver and part label. Drops final heads. Returns records, ids and bytes.
local function read_batch(prefix, conversation, limit)
  local records, ids, bytes, head = {}, {}, 0, nil
  for _, id in ipairs(redis.call('LRANGE', prefix .. 'conversation:' .. conversation, 0, limit - 1)) do
    local record = redis.call('GET', prefix .. 'message:' .. id)
    if not record or string.sub(record, 1, 2) ~= '1q' then
      break
    end
    local first, last = address_span(record)
    local address = string.sub(record, 11, 18) .. string.sub(record, first, last)
    local fragile = tonumber(string.sub(record, 9, 10)) >= SINGLE_AFTER_LOSSES
    if head and (head ~= address or fragile) then
      break
    end
    head, bytes = address, bytes + #record
    records[#records + 1], ids[#ids + 1] = record, id
    if fragile then
      break
    end
  end
  return records, ids, bytes
end

-- due: for a probe that is not due yet, when it would be; else 0.
local function write_lease(prefix, gate, conversation, ids, token, now, lease_ms, due)
  redis.call('ZREM', prefix .. 'ready', conversation)
  redis.call('ZREM', prefix .. 'delayed', conversation)
  redis.call('ZADD', prefix .. 'leases', now + lease_ms, conversation)
  redis.call('HSET', prefix .. 'claims', conversation, string.format('%s %d %d ', token, gate.epoch, due)
    .. table.concat(ids, ','))
  if gate.state == 'broken' then
    gate.probe, gate.dirty = token, true
  end
end

-- How many leases the gate, the rate window and the drain's free places allow now.
local function claim_budget(prefix, channel, gate, now, free)
  if gate_wait(gate, channel, now) ~= 0 then
    return 0
  end
  local leased = redis.call('ZCARD', prefix .. 'leases')
  local room = rate_room(prefix, channel, now, leased)
  if gate.state == 'broken' then
    return math.min(free, room, 1)
  end
  return math.min(free, room, gate.cap - count_pushing(prefix, channel, now))
end

-- The conversation whose turn it is, and 0. With a broken gate and nothing ready, the one that is due first, and the ms
-- until then: an outage must not last longer for a few conversations that back off.
local function next_conversation(prefix, gate, now)
  local ready = redis.call('ZRANGE', prefix .. 'ready', 0, 0)
  if ready[1] or gate.state ~= 'broken' then
    return ready[1], 0
  end
  local first = redis.call('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')
  return first[1], first[1] and math.max(tonumber(first[2]) - now, 0)
end

-- Nothing of it can be claimed: its heads are final, which drops them and keeps its turn, or of a layout that this
-- worker does not know, which is looked at again later. Returns how many it dropped.
local function pass_over(prefix, conversation, now)
  local alive, dropped = drop_final_heads(prefix, conversation)
  if not alive or dropped == 0 then
    redis.call('ZREM', prefix .. 'ready', conversation)
    redis.call('ZREM', prefix .. 'delayed', conversation)
  end
  if alive and dropped == 0 then
    count('unreadable', 1)
    redis.call('ZADD', prefix .. 'unreadable', now + UNREADABLE_MS, conversation)
  end
  return dropped
end

-- Returns the claims, each {conversation, token, probe, id, record, id, record …}; see turn.lua for probe.
local function claim_ready(prefix, channel, gate, now, drain, turn, free, lease_ms)
  local claims, inspected, bytes = {}, 0, 0
  local budget = claim_budget(prefix, channel, gate, now, free)
  while #claims < budget and inspected < MAX_INSPECTED and bytes < MAX_BATCHES_BYTES do
    local conversation, early = next_conversation(prefix, gate, now)
    if not conversation then
      break
    end
    local records, ids, size = read_batch(prefix, conversation, channel.batch_limit)
    inspected, bytes = inspected + #ids + 1, bytes + size
    if #ids == 0 then
      inspected = inspected + pass_over(prefix, conversation, now)
    else
      local token = drain .. ':' .. turn .. ':' .. #claims
      write_lease(prefix, gate, conversation, ids, token, now, lease_ms, early > 0 and now + early or 0)
      local claim = { conversation, token, gate.state == 'broken' and 1 + early or 0 }
      for i, id in ipairs(ids) do
        claim[#claim + 1], claim[#claim + 2] = id, records[i]
      end
      claims[#claims + 1] = claim
    end
  end
  return claims
end

-- The claims of a turn whose reply was lost, as far as they still stand.
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
