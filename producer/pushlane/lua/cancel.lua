#!lua flags=allow-oom
--- Takes one message out of the queue, unless a push of it is in flight or it is final.
-- KEYS[1] prefix   the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now      ms, or '' for the server's time
-- ARGV[2] id
-- Returns 'cancelled', 'maybe_delivered' (cancelled, but an earlier push of it had an unknown outcome), 'in_flight',
-- 'already_final' or 'not_found'.
--- use old_record record tombstone finish channel rest place outcomes gate wake
local prefix, bell, now, id = KEYS[1], KEYS[2], clock(ARGV[1]), ARGV[2]
local channel, record = load_channel(prefix), read_header(prefix, id)
local state = state_of(record)
if not channel or is_unreadable(record) then
  return 'not_found'
end
if not state then
  return find_tombstone(prefix, channel, id, now) and 'already_final' or 'not_found'
end
if not string.find(state, '[qsh]') then
  return 'already_final'
end
local conversation = conversation_of(record)
local claim = redis.call('HGET', prefix .. 'claims', conversation)
if claim and string.find(claim, id, 1, true) then
  return 'in_flight'
end

local flags = field(details_of(prefix, id, record), 'flags')
finish(prefix, channel, { id }, message_keys(prefix, { id }), { record }, 'c', now)
count('cancelled', 1)
count('depth', -1)
if state == 's' then
  redis.call('ZREM', prefix .. 'scheduled', scheduled_member(record, id))
else
  -- The conversation stays where it was: if it is backing off, it continues to, with the next message as its head.
  local due = redis.call('ZSCORE', prefix .. 'delayed', conversation)
  place(prefix, conversation, now, tonumber(due or '0'))
end
write_counters(prefix)
tail(prefix, bell, channel, nil, now, 0)
return flags == 'm' and 'maybe_delivered' or 'cancelled'
