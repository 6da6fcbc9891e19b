-- Holds: messages that keep their position until there is a decision on their key, or until their timeout.
local HOLD_KEPT_MS = 8 * 86400000 -- a day beyond the longest hold

-- Lists the message with those that a decision on the key will reach.
local function wait_for(prefix, id, key)
  redis.call('SADD', prefix .. 'hold:' .. key, id)
  redis.call('PEXPIRE', prefix .. 'hold:' .. key, HOLD_KEPT_MS)
end

-- What a hold does when it times out: release its message, or else dead-letter it.
local function hold_releases(details)
  return string.sub(details, DETAILS_BYTES + 1, DETAILS_BYTES + 1) == 'r'
end

local function forbids(decision)
  return string.sub(decision, 1, 1) == 'f'
end

-- Lets a held message be pushed from now on; with a new body, if given.
local function release(prefix, id, record, now, body)
  local details = with(details_of(prefix, id, record), 'joined', ms(now) .. zeros('due'))
  update(prefix, id, record, 'q', string.sub(details, 1, DETAILS_BYTES))
  if body then
    local key, _, address_end = prefix .. 'message:' .. id, content_ends(record)
    redis.call('SET', key, redis.call('GETRANGE', key, 0, address_end - 1) .. body)
  end
end

-- Applies a decision to a held message: a allows, w and a body rewrites, f and a reason forbids. Returns its state. If
-- it is in a list, the caller places its conversation.
local function decide(prefix, id, record, decision, now)
  local verdict, rest = string.sub(decision, 1, 1), string.sub(decision, 2)
  if forbids(decision) then
    kill(prefix, id, record, now, 'f', rest)
    return 'x'
  end
  release(prefix, id, record, now, verdict == 'w' and rest or nil)
  return 'q'
end
