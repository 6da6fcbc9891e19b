-- `place`: the only function that decides where a conversation is. Every script that touches one ends with it, so that
-- it is in exactly one of: absent (its list is empty), ready, delayed, leases, held (its head waits for a decision),
-- unreadable (its head has a newer layout).
local MAX_INSPECTED = 200
local drops_left = MAX_INSPECTED -- finished messages that this call may still drop

-- Makes conversations ready, in this order; those that rest are delayed. None of them may be in any of the sets.
local function set_ready(prefix, conversations, now)
  local ready = {}
  for _, conversation in ipairs(conversations) do
    local due = rests_until(prefix, conversation)
    if due > now then
      redis.call('ZADD', prefix .. 'delayed', due, conversation)
    else
      ready[#ready + 1], ready[#ready + 2] = 0, conversation
    end
  end
  if #ready == 0 then
    return
  end
  local order = redis.call('HINCRBY', prefix .. 'counters', 'ready_turns', #ready / 2) - #ready / 2
  for i = 1, #ready, 2 do
    ready[i] = order + (i + 1) / 2
  end
  redis.call('ZADD', prefix .. 'ready', unpack(ready))
end

local any_blocked -- whether any conversation is blocked; nil until this call has checked

-- A conversation whose head is in trouble, for operators: since when, and why.
local function block(prefix, conversation, now, why)
  any_blocked = true
  redis.call('ZADD', prefix .. 'blocked', 'NX', now, conversation)
  redis.call('HSET', prefix .. 'blocked_by', conversation, string.sub(why, 1, 500))
end

local function unblock(prefix, conversation)
  if any_blocked == nil then
    any_blocked = redis.call('EXISTS', prefix .. 'blocked') == 1
  end
  if any_blocked and redis.call('ZREM', prefix .. 'blocked', conversation) == 1 then
    redis.call('HDEL', prefix .. 'blocked_by', conversation)
  end
end

-- Moves a message to the dead letters and counts it; the caller removes it from its list or set.
local function kill(prefix, id, record, now, reason, why)
  bury(prefix, id, record, now, reason, why)
  count('dead_' .. reason, 1)
  count('depth', -1)
end

-- The part label of a dead letter that is still in the middle of its list, where the cost of removing it would
-- grow with the list. Dropping it clears the mark; a replay checks for it.
local LISTED = 'listed  '
local TOO_LATE = 'its time to be delivered was over'

local function set_listed(prefix, id, record, listed)
  local details, label = details_of(prefix, id, record), listed and LISTED or zeros('part')
  if field(details, 'part') ~= label then
    update(prefix, id, record, 'x', with(details, 'part', label))
  end
end

-- Whether a message is finished, by its header: final, or expired, which makes it a dead letter here. A record of
-- another layout belongs to a newer worker: it stays.
local function is_over(prefix, id, record, now)
  if string.sub(record, 1, #PLAIN) == PLAIN then
    return false
  end
  local state = state_of(record)
  if state ~= 'q' and state ~= 'h' then
    if state == 'x' and redis.call('ZSCORE', prefix .. 'dead', id) then
      set_listed(prefix, id, record, false)
    end
    return not is_unreadable(record)
  end
  if not has_expired(details_of(prefix, id, record), now) then
    return false
  end
  kill(prefix, id, record, now, 'e', TOO_LATE)
  return true
end

-- Drops finished messages from the head of the list; if any are left, the next claim drops them. Returns the head and
-- its header, or nil for an empty list.
local function drop_heads(prefix, conversation, now)
  local list, dropped = prefix .. 'conversation:' .. conversation, false
  while true do
    local id = redis.call('LINDEX', list, 0)
    local record = id and read_header(prefix, id)
    if not id or drops_left <= 0 or not is_over(prefix, id, record, now) then
      if dropped and id and (not state_of(record) or number(details_of(prefix, id, record), 'attempts') == 0) then
        unblock(prefix, conversation) -- the one that was in trouble is gone
      end
      return id, record
    end
    redis.call('LPOP', list)
    drops_left, dropped = drops_left - 1, true
  end
end

-- Until its head's hold ends or its head expires, whichever comes first.
local function set_held(prefix, conversation, details, now)
  local ends, expires = number(details, 'due'), number(details, 'expires')
  local due = expires > 0 and math.min(ends, expires) or ends
  if redis.call('ZADD', prefix .. 'held', due, conversation) == 1 then
    unblock(prefix, conversation) -- whatever was in trouble before it is gone
  end
  block(prefix, conversation, now, 'held: its head waits for a decision')
end

-- For a conversation that is in none of the sets, except perhaps in `held`, and its head; due as for `place`. Returns
-- whether it must be set ready, which the caller does for many at once.
local function put(prefix, conversation, id, record, now, due)
  if not id then
    unblock(prefix, conversation)
  elseif state_of(record) == 'h' then
    set_held(prefix, conversation, details_of(prefix, id, record), now)
  elseif due > now then
    redis.call('ZADD', prefix .. 'delayed', due, conversation)
  else
    return true
  end
end

-- due: ms at which the conversation may be pushed again; 0 for now.
local function place(prefix, conversation, now, due)
  if redis.call('ZSCORE', prefix .. 'leases', conversation) then
    return
  end
  local id, record = drop_heads(prefix, conversation, now)
  local held = id and state_of(record) == 'h'
  if id and not held and due <= now and redis.call('ZSCORE', prefix .. 'ready', conversation) then
    return -- it keeps its turn
  end
  redis.call('ZREM', prefix .. 'ready', conversation)
  redis.call('ZREM', prefix .. 'delayed', conversation)
  redis.call('ZREM', prefix .. 'unreadable', conversation)
  if not held and redis.call('ZREM', prefix .. 'held', conversation) == 1 then
    unblock(prefix, conversation)
  end
  if put(prefix, conversation, id, record, now, due) then
    set_ready(prefix, { conversation }, now)
  end
end
