#!lua
--- Decides on a key, once: messages held for it now or later are released, rewritten or dead-lettered.
-- KEYS[1] prefix    the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now       ms, or '' for the server's time
-- ARGV[2] key
-- ARGV[3] decision  a allows, w and a body rewrites, f and a reason forbids
-- ARGV[4] brief     1 keeps the decision for the channel's retention, 0 for as long as a message may be held
-- Returns {decision, decided, left}: the decision that applies, which is the first one; how many messages this call has
-- decided on, and how many are left for another call. {-2} if the channel is not registered.
--- use old_record record channel rest place hold outcomes gate wake
local prefix, bell, now = KEYS[1], KEYS[2], clock(ARGV[1])
local key, decision, brief = ARGV[2], ARGV[3], ARGV[4]
local channel = load_channel(prefix)
if not channel then
  return { -2 }
end

local kept_ms = brief == '1' and math.min(channel.retention_ms, HOLD_KEPT_MS) or HOLD_KEPT_MS
redis.call('SET', prefix .. 'decision:' .. key, decision, 'NX', 'PX', kept_ms)
decision = redis.call('GET', prefix .. 'decision:' .. key)
local ids, decided = redis.call('SPOP', prefix .. 'hold:' .. key, MAX_INSPECTED), 0
for _, id in ipairs(ids) do
  local record = read_header(prefix, id)
  -- A release before this one left the ids of holds that ended without a decision; they may belong to other messages.
  if state_of(record) == 'h' and hold_key(details_of(prefix, id, record)) == key then
    decided = decided + 1
    local conversation = conversation_of(record)
    if decide(prefix, id, record, decision, now) == 'x' then
      set_listed(prefix, id, record, true)
    end
    local due = redis.call('ZSCORE', prefix .. 'delayed', conversation)
    place(prefix, conversation, now, tonumber(due or '0'))
  end
end
write_counters(prefix)
tail(prefix, bell, channel, nil, now, 0)
return { decision, decided, redis.call('SCARD', prefix .. 'hold:' .. key) }
