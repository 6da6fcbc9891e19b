#!lua flags=allow-oom
--- Sends the head of a blocked conversation to the dead letters, so that those behind it move on at once.
-- KEYS[1] prefix        the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now           ms, or '' for the server's time
-- ARGV[2] conversation
-- Returns {'skipped', id}, {'in_flight'}, {'unreadable'} (a newer worker's message) or {'not_blocked'}.
--- use record channel place outcomes gate wake
local prefix, bell, now, conversation = KEYS[1], KEYS[2], clock(ARGV[1]), ARGV[2]
local channel = load_channel(prefix)
if not channel or not redis.call('ZSCORE', prefix .. 'blocked', conversation) then
  return { 'not_blocked' }
end
if redis.call('ZSCORE', prefix .. 'leases', conversation) then
  return { 'in_flight' }
end
local id, record = drop_heads(prefix, conversation, now)
if id and string.sub(record, 1, 1) ~= '1' then
  return { 'unreadable' }
end
if id and string.find(record, '^1[qh]') then
  local why = redis.call('HGET', prefix .. 'blocked_by', conversation) or ''
  kill(prefix, id, now, 'a', 'skipped by an operator; it was blocked by: ' .. why)
end
unblock(prefix, conversation)
place(prefix, conversation, now, 0)
write_counters(prefix)
tail(prefix, bell, channel, nil, now, 0)
return id and { 'skipped', id } or { 'not_blocked' }
