-- Settles leases: what their outcomes mean for the batches, the rate window and the gate. All but `settle_all` is
-- private.
local settle_all
do
  -- The values of pushlane_worker.queue.turns.Settled.
  local STALE, CURRENT, SPARED = 0, 1, 2
  local LIST_UNKNOWN = 10000 -- about how many pushes of unknown outcome stay listed

  -- Charges a push to its messages: one attempt, unless it was throttled. A '1' in `dead` at a message's position means
  -- that its budget is spent. An expired lease adds to the losses in a row; any other outcome resets them.
  local function spend(prefix, conversation, ids, now, settled)
    local cost = settled.outcome == THROTTLED and 0 or 1
    settled.attempt = cost == 1
    for i, id in ipairs(ids) do
      local record = read_header(prefix, id)
      local details = details_of(prefix, id, record)
      local attempts = math.min(number(details, 'attempts') + cost, 9999)
      local losses = settled.lost and math.min(number(details, 'losses') + 1, 99) or 0
      local flags = settled.outcome == UNKNOWN and 'm' or field(details, 'flags')
      details = with(details, 'flags', flags .. string.format('%04d%02d', attempts, losses))
      update(prefix, id, record, 'q', with(details, 'pushed', ms(now)))
      if string.sub(settled.dead, i, i) == '1' then
        kill(prefix, id, read_header(prefix, id), now, settled.reason, settled.detail)
        redis.call('LREM', prefix .. 'conversation:' .. conversation, 1, id) -- a replay may list it again at any time
      end
    end
  end

  -- For the unknown outcome of an early probe, which is no attempt. Its messages may have arrived all the same.
  local function mark_maybe_delivered(prefix, ids, now)
    for _, id in ipairs(ids) do
      local record = read_header(prefix, id)
      local details = with(details_of(prefix, id, record), 'flags', 'm')
      update(prefix, id, record, 'q', with(details, 'pushed', ms(now)))
    end
  end

  -- Gives the two halves of a rejected batch different labels, so that they are pushed separately. This is no attempt.
  local function split_batch(prefix, ids, size)
    local label = redis.call('HINCRBY', prefix .. 'counters', 'parts', 2)
    for i, id in ipairs(ids) do
      local part = (label - (i <= size and 1 or 0)) % 100000000
      local record = read_header(prefix, id)
      update(prefix, id, record, 'q', with(details_of(prefix, id, record), 'part', string.format('%08d', part)))
    end
  end

  -- The batch is the head of its list: only a settle removes leased messages from it.
  local function deliver(prefix, channel, ids, now, settled)
    redis.call('LPOP', prefix .. 'conversation:' .. settled.conversation, #ids)
    local keys = message_keys(prefix, ids)
    if finish(prefix, channel, ids, keys, read_records(keys), 'd', now) then
      list_push(prefix, channel, ids, now, settled, true)
    end
    count('delivered', #ids)
    count('depth', -#ids)
  end

  -- The upper bounds of the buckets in ms; `pushlane.operators.overview` repeats them.
  local TOOK_MS = { 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000 }

  -- Of the pushes of this call, by number of messages and by upper bound; counted at its end, which costs each push
  -- nearly nothing.
  local took_ms, sizes, within = 0, {}, {}

  -- How many messages a push had and how long it took, unless nobody knows that.
  local function measure(settled, size)
    if settled.lost or settled.outcome == UNSENT then
      return
    end
    took_ms, sizes[size] = took_ms + settled.took, (sizes[size] or 0) + 1
    for i = 1, #TOOK_MS do
      if settled.took <= TOOK_MS[i] then
        within[i] = (within[i] or 0) + 1
        return
      end
    end
  end

  local function count_measured()
    count('took_ms', took_ms)
    for size, pushes in pairs(sizes) do
      count('size_' .. size, pushes)
    end
    for i, pushes in pairs(within) do
      count('took_' .. TOOK_MS[i], pushes)
    end
  end

  local OUTCOME_COUNTERS = {
    'pushes_delivered', 'pushes_throttled', 'pushes_misconfigured', 'pushes_rejected', 'pushes_failed',
    'pushes_unknown', 'pushes_unsent',
  }

  -- Returns the lease of each token that is current; it has ended.
  local function end_leases(prefix, settlements)
    local conversations = {}
    for i, settled in ipairs(settlements) do
      conversations[i] = settled.conversation
    end
    local claims = redis.call('HMGET', prefix .. 'claims', unpack(conversations))
    local leases, ended = {}, {}
    for i, settled in ipairs(settlements) do
      local lease = claims[i] and not leases[settled.token] and read_claim(claims[i])
      if lease and lease.token == settled.token then
        leases[settled.token], ended[#ended + 1] = lease, settled.conversation
      end
    end
    if #ended > 0 then
      redis.call('HDEL', prefix .. 'claims', unpack(ended))
      redis.call('ZREM', prefix .. 'leases', unpack(ended))
    end
    return leases
  end

  -- Returns when a conversation is due after its push failed, was rejected, or had an unknown outcome.
  local function hit(prefix, conversation, ids, now, settled)
    if settled.dead ~= '' then
      spend(prefix, conversation, ids, now, settled)
    elseif settled.outcome == UNKNOWN then
      mark_maybe_delivered(prefix, ids, now)
    end
    if settled.outcome == UNKNOWN then
      redis.call('XADD', prefix .. 'unknown', 'MAXLEN', '~', LIST_UNKNOWN, '*', 'at', now, 'conversation', conversation,
        'message_ids', table.concat(ids, ','), 'detail', settled.detail, 'lost', settled.lost and 1 or 0)
      if settled.reason == 'u' then
        rest(prefix, conversation, now + settled.wait) -- the push that was given up may still take effect
      end
    end
    return now + settled.wait
  end

  -- The same for a conversation that is refused or throttled through its own fault.
  local function set_aside(prefix, conversation, ids, now, settled)
    if settled.dead ~= '' then
      spend(prefix, conversation, ids, now, settled)
    end
    if settled.outcome == MISCONFIGURED then
      return now + settled.wait
    end
    local due = now + (settled.wait > 0 and settled.wait or lone_wait(prefix, conversation, now))
    rest(prefix, conversation, due)
    return due
  end

  -- Prefix of the reason why a conversation is blocked.
  local BLOCKED_AS = {
    [SUSPECT] = 'suspect: ', [MISCONFIGURED] = REFUSED, [THROTTLED] = LIMITED, [FAILED] = '', [UNKNOWN] = '',
  }

  -- Lists the conversation as blocked, or removes it from that list.
  local function tell_operators(prefix, outcome, own_fault, now, settled)
    local spent = own_fault or outcome == FAILED or outcome == UNKNOWN
    local all_died = spent and settled.dead ~= '' and not string.find(settled.dead, '0')
    if outcome == DELIVERED or outcome == REJECTED or all_died then
      unblock(prefix, settled.conversation)
    elseif BLOCKED_AS[outcome] and (own_fault or outcome ~= THROTTLED) then
      block(prefix, settled.conversation, now, BLOCKED_AS[outcome] .. settled.detail)
    end
  end

  -- Returns when the conversation is due again.
  local function carry_out(prefix, channel, gate, outcome, own_fault, now, settled, lease)
    local conversation = settled.conversation
    if outcome == DELIVERED then
      deliver(prefix, channel, lease.ids, now, settled)
      return now
    elseif outcome == REJECTED and settled.split > 0 then
      split_batch(prefix, lease.ids, settled.split)
      return now
    elseif outcome == REJECTED or outcome == FAILED or outcome == UNKNOWN then
      return hit(prefix, conversation, lease.ids, now, settled)
    elseif own_fault then
      return set_aside(prefix, conversation, lease.ids, now, settled)
    elseif outcome == MISCONFIGURED or outcome == SUSPECT then
      return refused_until(channel, gate, now)
    end
    return lease.due -- a probe that was claimed early and given back keeps its due time
  end

  -- Returns the status, and whether the conversation must be set ready.
  local function settle(prefix, channel, gate, now, settled, lease)
    local conversation, outcome = settled.conversation, settled.outcome
    count(OUTCOME_COUNTERS[outcome], 1)
    measure(settled, #lease.ids)
    if settled.reached and channel.rate_limit > 0 then
      -- The next ms: the clock is cut to whole ms, and rate budget must not become free a fraction of one too early.
      redis.call('RPUSH', prefix .. 'rate', rate_clock(gate, now) + 1)
    end
    if outcome == REJECTED and is_suspect(gate, settled, lease.ids) then
      outcome = SUSPECT
    end
    local own_fault = is_own_fault(prefix, gate, now, settled, lease.epoch)
    if not own_fault then
      -- An expired lease says something about a worker, not about the API: for the gate the push was never sent.
      tell_gate(prefix, gate, channel, settled.lost and UNSENT or outcome, lease.epoch, now, settled)
    end
    local due = carry_out(prefix, channel, gate, outcome, own_fault, now, settled, lease)
    if outcome ~= DELIVERED and outcome ~= UNSENT then
      list_push(prefix, channel, lease.ids, now, settled, settled.attempt)
    end
    tell_operators(prefix, outcome, own_fault, now, settled)
    local may_be_own = outcome == MISCONFIGURED or outcome == THROTTLED and settled.lone
    local spared = outcome == SUSPECT or may_be_own and not own_fault
    local id, head = drop_heads(prefix, conversation, now)
    return spared and SPARED or CURRENT, put(prefix, conversation, id, head, now, due)
  end

  -- Returns the statuses. A stale token settles nothing, and a token settles once.
  function settle_all(prefix, channel, gate, now, settlements)
    local statuses, ready = {}, {}
    local leases = #settlements > 0 and end_leases(prefix, settlements)
    for i, settled in ipairs(settlements) do
      local lease, goes = leases[settled.token], false
      leases[settled.token] = nil
      if lease then
        statuses[i], goes = settle(prefix, channel, gate, now, settled, lease)
      else
        statuses[i] = STALE
        count('settled_stale', 1)
      end
      if goes then
        ready[#ready + 1] = settled.conversation
      end
    end
    set_ready(prefix, ready, now)
    count_measured()
    return statuses
  end
end
