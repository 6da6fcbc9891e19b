#!lua flags=allow-oom
--- Deletes the content of dead letters; their final status is kept as long as that of any other message. What the API
-- said of their conversation's pushes may quote them, so that is deleted, too.
-- KEYS[1] prefix   the channel's key prefix
-- ARGV[1] now      ms, or '' for the server's time
-- ARGV[2…] ids     at most 200
-- Returns how many it purged.
--- use old_record record tombstone finish channel
local prefix, now = KEYS[1], clock(ARGV[1])
local channel = load_channel(prefix)
if not channel then
  return 0
end
local purged = 0
local FIRST = 2
for i = FIRST, #ARGV do
  local ids = { ARGV[i] }
  local record = read_header(prefix, ids[1])
  if state_of(record) == 'x' and redis.call('ZREM', prefix .. 'dead', ids[1]) == 1 then
    finish(prefix, channel, ids, message_keys(prefix, ids), { record }, 'x', now)
    redis.call('UNLINK', prefix .. 'pushes:' .. conversation_of(record))
    purged = purged + 1
  end
end
count('purged', purged)
write_counters(prefix)
return purged
