#!lua flags=allow-oom
--- Moves the head of a blocked conversation to the dead letters, so that the messages behind it can go at once.
-- KEYS[1] prefix        the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now           ms, or '' for the server's time
-- ARGV[2] conversation
-- Returns {'skipped', id}, {'in_flight'}, {'unreadable'} (written by a newer version) or {'not_blocked'}.
--- use old_record record channel rest place outcomes gate wake
local prefix, bell, now, conversation = KEYS[1], KEYS[2], clock(ARGV[1]), ARGV[2]
local channel = load_channel(prefix)
if not channel or not redis.call('ZSCORE', prefix .. 'blocked', conversation) then
  return { 'not_blocked' }
end
if redis.call('ZSCORE', prefix .. 'leases', conversation) then
  return { 'in_flight' }
end
local id, record = drop_heads(prefix, conversation, now)
local result, due = { 'not_blocked' }, tonumber(redis.call('ZSCORE', prefix .. 'delayed', conversation) or '0')
local state = id and state_of(record)
if id and not state then
  result = { 'unreadable' }
elseif (state == 'q' or state == 'h') and redis.call('ZSCORE', prefix .. 'blocked', conversation) then
  local why = redis.call('HGET', prefix .. 'blocked_by', conversation)
  kill(prefix, id, record, now, 'a', 'skipped by an operator; it was blocked by: ' .. why)
  redis.call('LPOP', prefix .. 'conversation:' .. conversation)
  unblock(prefix, conversation)
  result, due = { 'skipped', id }, 0
end
if result[1] ~= 'unreadable' then
  place(prefix, conversation, now, due)
end
write_counters(prefix)
tail(prefix, bell, channel, nil, now, 0)
return result
