-- Claiming: the batch stays at the head of its list, under a lease; only a settle with its token removes it.
local claim_ready, reread_claims
do
  local MAX_BATCHES_BYTES = 4 * 1024 * 1024 -- a turn's reply stays below about this size
  local MAX_AT_ONCE = 20 -- conversations whose leases are written together
  local FIRST_ID = 5 -- where the ids and records of a claim begin
  local NO_PART = zeros('part')
  local HEAD_BEGINS = FIRST_BYTE.conversation_bytes -- from here to the address' end the records of a batch are equal
  -- After this many lost leases in a row a message goes alone: it may be what kills workers.
  local SINGLE_AFTER_LOSSES = 2

  -- Adds a message to the batch if it fits the earlier ones. Returns whether another one may follow.
  local function add_to_batch(batch, id, record, details)
    local part, fragile = NO_PART, false
    if details ~= '' then
      part, fragile = field(details, 'part'), number(details, 'losses') >= SINGLE_AFTER_LOSSES
      batch.any_details = true
    end
    if not batch.head then
      local _, address_end = content_ends(record)
      batch.part, batch.head, batch.head_end = part, string.sub(record, HEAD_BEGINS, address_end), address_end
    elseif fragile or part ~= batch.part or string.sub(record, HEAD_BEGINS, batch.head_end) ~= batch.head then
      return false
    end
    -- A message is listed twice if it was cancelled in mid-list and sent again after its idempotency key was forgotten.
    if batch.listed[id] then
      return false
    end
    local at = #batch.ids + 1
    batch.bytes, batch.listed[id] = batch.bytes + #record, true
    batch.ids[at], batch.records[at], batch.details[at] = id, record, details
    return not fragile
  end

  -- The longest prefix with the same sender, receiver and part label. Drops finished messages on the way.
  local function read_batch(prefix, conversation, limit, now)
    local list, open = prefix .. 'conversation:' .. conversation, true
    local batch = { ids = {}, records = {}, details = {}, listed = {}, bytes = 0 }
    while open do
      open = false
      local ids = redis.call('LRANGE', list, #batch.ids, limit - 1)
      local records = #ids > 0 and read_records(message_keys(prefix, ids)) or {}
      for i, id in ipairs(ids) do
        local record = records[i]
        if is_over(prefix, id, record, now) then
          redis.call('LREM', list, 1, id)
          drops_left, open = drops_left - 1, drops_left > 1
        elseif state_of(record) ~= 'q' then
          return batch
        elseif not add_to_batch(batch, id, record, claimed_details(prefix, id, record)) then
          return batch
        end
      end
    end
    return batch
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

  -- At most `most` conversations, the set that they are in, and 0; for a probe ahead of its time, when it would be due.
  local function next_conversations(prefix, gate, now, most)
    local ready = redis.call('ZRANGE', prefix .. 'ready', 0, most - 1)
    if ready[1] or gate.state ~= 'broken' then
      return ready, 'ready', 0
    end
    local delayed, due, early = first_delayed(prefix, gate, now)
    return { early and delayed or nil }, 'delayed', due > now and due or 0
  end

  -- Nothing can be claimed: the conversation is empty, its head is held, or its head has a layout that this worker does
  -- not know. That one is checked again later.
  local function pass_over(prefix, conversation, source, now)
    local id, record = drop_heads(prefix, conversation, now)
    if not id or state_of(record) then
      place(prefix, conversation, now, 0)
      return
    end
    redis.call('ZREM', prefix .. source, conversation)
    count('unreadable', 1)
    redis.call('ZADD', prefix .. 'unreadable', now + UNREADABLE_MS, conversation)
    block(prefix, conversation, now, 'its head is in a layout that this version of the workers does not know')
  end

  -- Leases the conversations of the claims from the first one on; all of them are in the set `source`.
  local function write_leases(prefix, gate, source, claims, first, now, lease_ms, due)
    local conversations, leases, listed = {}, {}, {}
    for i = first, #claims do
      local claim, ids = claims[i], {}
      for at = FIRST_ID, #claim, 2 do
        ids[#ids + 1] = claim[at]
      end
      conversations[#conversations + 1] = claim[1]
      leases[#leases + 1], leases[#leases + 2] = now + lease_ms, claim[1]
      listed[#listed + 1] = claim[1]
      listed[#listed + 1] = write_claim(claim[2], gate.epoch, due, ids)
    end
    if #conversations > 0 then
      redis.call('ZREM', prefix .. source, unpack(conversations))
      redis.call('ZADD', prefix .. 'leases', unpack(leases))
      redis.call('HSET', prefix .. 'claims', unpack(listed))
    end
  end

  -- Returns the claims, each {conversation, token, probe, details, id, record, id, record …}; see turn.lua.
  function claim_ready(prefix, channel, gate, now, drain, turn, free, lease_ms)
    local claims, inspected, bytes = {}, 0, 0
    local budget = claim_budget(prefix, channel, gate, now, free)

    local function goes_on()
      return #claims < budget and inspected < MAX_INSPECTED and drops_left > 0 and bytes < MAX_BATCHES_BYTES
    end

    local function claim(conversation, source, due)
      local batch = read_batch(prefix, conversation, channel.batch_limit, now)
      inspected, bytes = inspected + #batch.ids + 1, bytes + batch.bytes
      if #batch.ids == 0 then
        if drops_left > 0 then
          pass_over(prefix, conversation, source, now)
        end
        return
      end
      local token, probe = drain .. ':' .. turn .. ':' .. #claims, 0
      if gate.state == 'broken' then
        probe = 1 + math.max(due - now, 0)
        gate.probe, gate.dirty = token, true
      end
      local claimed = { conversation, token, probe, batch.any_details and batch.details or '' }
      for i, id in ipairs(batch.ids) do
        claimed[#claimed + 1], claimed[#claimed + 2] = id, batch.records[i]
      end
      claims[#claims + 1] = claimed
    end

    while goes_on() do
      local conversations, source, due = next_conversations(prefix, gate, now, math.min(budget - #claims, MAX_AT_ONCE))
      if #conversations == 0 then
        break
      end
      local first = #claims + 1
      for _, conversation in ipairs(conversations) do
        if goes_on() then
          claim(conversation, source, due)
        end
      end
      write_leases(prefix, gate, source, claims, first, now, lease_ms, due)
    end
    return claims
  end

  -- The claims of a turn whose reply was lost, as far as they are still valid.
  function reread_claims(prefix, token_prefix, conversations, now)
    local claims = {}
    for _, conversation in ipairs(conversations) do
      local claim = redis.call('HGET', prefix .. 'claims', conversation)
      if claim and string.sub(claim, 1, #token_prefix) == token_prefix then
        local lease = read_claim(claim)
        local records = read_records(message_keys(prefix, lease.ids))
        local probes = redis.call('HGET', prefix .. 'gate', 'probe') == lease.token
        local probe = probes and 1 + math.max(lease.due - now, 0) or 0
        local again = { conversation, lease.token, probe, listed_details(prefix, lease.ids, records) }
        for i, id in ipairs(lease.ids) do
          again[#again + 1], again[#again + 2] = id, records[i]
        end
        claims[#claims + 1] = again
      end
    end
    return claims
  end
end
