-- `place`: the one function that says where a conversation stands. Every script that touches one ends with it, so that
-- it is in exactly one of: absent (its list is empty), ready, delayed, leases.
local MAX_INSPECTED = 200

local function set_ready(prefix, conversation)
  local turn = redis.call('HINCRBY', prefix .. 'counters', 'ready_turns', 1)
  redis.call('ZADD', prefix .. 'ready', turn, conversation)
end

-- Drops final messages from the head of the list, at most MAX_INSPECTED; what is left of them, the next claim drops.
-- Returns whether a message is left, and how many it dropped.
local function drop_final_heads(prefix, conversation)
  local list = prefix .. 'conversation:' .. conversation
  for dropped = 0, MAX_INSPECTED - 1 do
    local id = redis.call('LINDEX', list, 0)
    if not id then
      return false, dropped
    end
    local version_and_state = redis.call('GETRANGE', prefix .. 'message:' .. id, 0, 1)
    -- A record of another layout is a newer worker's business: it stays.
    if version_and_state == '1q' or string.find(version_and_state, '^[^1]') then
      return true, dropped
    end
    redis.call('LPOP', list)
  end
  return true, MAX_INSPECTED
end

-- due: ms at which the conversation may be pushed again; 0 for now.
local function place(prefix, conversation, now, due)
  if redis.call('ZSCORE', prefix .. 'leases', conversation) then
    return
  end
  if not drop_final_heads(prefix, conversation) then
    redis.call('ZREM', prefix .. 'ready', conversation)
    redis.call('ZREM', prefix .. 'delayed', conversation)
  elseif due > now then
    redis.call('ZREM', prefix .. 'ready', conversation)
    redis.call('ZADD', prefix .. 'delayed', due, conversation)
  else
    redis.call('ZREM', prefix .. 'delayed', conversation)
    if not redis.call('ZSCORE', prefix .. 'ready', conversation) then
      set_ready(prefix, conversation)
    end
  end
end
