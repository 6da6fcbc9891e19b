-- Whose fault it is that a push was refused, rejected or throttled: the channel's, or that of its conversation alone.
local SUSPECT_AFTER = 20 -- so many messages rejected in a row, none delivered between, can hardly all be to blame
local REFUSED, LIMITED = 'misconfigured: ', 'throttled: ' -- what the reason begins with for which a conversation is blocked

local function blocked_as(prefix, conversation, what)
  local why = redis.call('HGET', prefix .. 'blocked_by', conversation)
  return why and string.sub(why, 1, #what) == what
end

-- Whether a rejection is taken for a fault of the channel. Those that only halve a batch do not count, but end as the
-- others do once the channel is suspect.
local function is_suspect(gate, settled, ids)
  if settled.split == 0 then
    gate.rejections, gate.dirty = math.min(gate.rejections + #ids, SUSPECT_AFTER), true
  end
  return gate.rejections >= SUSPECT_AFTER
end

-- A second conversation within the same second, or with no delivery between, has met a limit of the channel's. One that
-- was throttled alone and has had no delivery since tells nothing new.
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

-- Whether what was refused or throttled is its conversation's own fault. What is refused for the first time breaks the
-- gate or meets a broken one: when it is open again, others have not been refused.
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

-- How long a conversation waits that is throttled alone, if the answer did not say: 1, 2, 4 … 60 s, which is as long again
-- as it has been so.
local function lone_wait(prefix, conversation, now)
  local since = tonumber(redis.call('ZSCORE', prefix .. 'blocked', conversation) or now)
  return math.max(THROTTLE_FIRST_MS, math.min(now - since + THROTTLE_FIRST_MS, THROTTLE_CAP_MS))
end

-- When what was refused is due again, if the channel may be to blame. Where that is certain, behind all that have not been
-- asked: as a probe it may come before its time, and when the gate opens it is ready at once.
local function refused_until(channel, gate, now)
  if gate.state == 'broken' and gate.doubts == 0 then
    return now + longest_wait(channel)
  end
  return now + REFUSED_MS
end
