-- Holds: messages that keep their position until there is a decision on their key, or until their timeout.
local HOLD_KEPT_MS = 8 * 86400000 -- a day beyond the longest hold

-- Lists the message with those that a decision on the key will reach.
local function wait_for(prefix, id, key)
  redis.call('SADD', prefix .. 'hold:' .. key, id)
  redis.call('PEXPIRE', prefix .. 'hold:' .. key, HOLD_KEPT_MS)
end

-- What a hold does when it times out: release its message, or else dead-letter it.
local function hold_releases(record)
  local first = content_end(record) + 1
  return string.sub(record, first, first) == 'r'
end

-- Whether the record is that of a message that still waits for this key. An older version left the ids of holds that
-- ended without a decision, and these ids may belong to other messages by now.
local function waits_for(record, key)
  return state_of(record) == 'h' and hold_key(record) == key
end

local function forbids(decision)
  return string.sub(decision, 1, 1) == 'f'
end

-- Applies a decision to a held message: a allows, w and a body rewrites, f and a reason forbids. Returns its state. If
-- it is in a list, the caller places its conversation.
local function decide(prefix, id, record, decision, now)
  local verdict, rest = string.sub(decision, 1, 1), string.sub(decision, 2)
  if forbids(decision) then
    kill(prefix, id, now, 'f', rest)
    return 'x'
  end
  redis.call('SET', prefix .. 'message:' .. id, released_record(record, now, verdict == 'w' and rest or nil))
  return 'q'
end
