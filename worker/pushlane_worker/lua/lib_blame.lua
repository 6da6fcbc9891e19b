-- Whether the channel or only the conversation is to blame for a push that was refused, rejected or throttled.
local REFUSED, LIMITED = 'misconfigured: ', 'throttled: ' -- prefixes of the reason why a conversation is blocked

local function blocked_as(prefix, conversation, what)
  local why = redis.call('HGET', prefix .. 'blocked_by', conversation)
  return why and string.sub(why, 1, #what) == what
end

local is_suspect
do
  -- This many rejections in a row without a delivery: the messages can hardly all be at fault.
  local SUSPECT_AFTER = 20

  -- Whether a rejection is blamed on the channel. Rejections that only halve a batch do not count, but once the channel
  -- is suspect they are treated like the others.
  function is_suspect(gate, settled, ids)
    if settled.split == 0 then
      gate.rejections, gate.dirty = math.min(gate.rejections + #ids, SUSPECT_AFTER), true
    end
    return gate.rejections >= SUSPECT_AFTER
  end
end

-- A second conversation throttled within the same second, or before any delivery, means that the limit is the
-- channel's. A conversation that was throttled alone and has had no delivery since adds no information.
local function is_throttled_alone(prefix, gate, conversation, epoch, now)
  if epoch ~= gate.epoch or blocked_as(prefix, conversation, LIMITED) then
    return true
  end
  local together = gate.relieved == 0 or now - gate.limited_at < SAME_LIMIT_MS
  if gate.limited ~= '' and gate.limited ~= conversation and together then
    return false
  end
  gate.limited, gate.limited_at, gate.relieved, gate.dirty = conversation, now, 0, true
  return true
end

-- Whether a refusal or throttling is the conversation's own fault. The first refusal breaks the gate or meets a broken
-- one. So if a conversation is refused again once the gate is open, others have succeeded meanwhile.
local function is_own_fault(prefix, gate, now, settled, epoch)
  if gate.state ~= 'open' then
    return false
  end
  if settled.outcome == MISCONFIGURED then
    return epoch == gate.epoch and blocked_as(prefix, settled.conversation, REFUSED)
  end
  return settled.outcome == THROTTLED and settled.lone
    and is_throttled_alone(prefix, gate, settled.conversation, epoch, now)
end

-- How long a conversation that is throttled alone waits if the answer did not say: 1, 2, 4 … 60 s, that is as long
-- again as it has already been throttled.
local function lone_wait(prefix, conversation, now)
  local since = tonumber(redis.call('ZSCORE', prefix .. 'blocked', conversation) or now)
  return math.max(THROTTLE_FIRST_MS, math.min(now - since + THROTTLE_FIRST_MS, THROTTLE_CAP_MS))
end

-- When a refused conversation is due again if the channel may be to blame. If it certainly is, after all conversations
-- that were not tried yet: it may still be probed early, and when the gate opens it is ready at once.
local function refused_until(channel, gate, now)
  if gate.state == 'broken' and gate.doubts == 0 then
    return now + longest_wait(channel)
  end
  return now + REFUSED_MS
end
