#!lua flags=allow-oom
--- Pauses or resumes a channel; pushes in flight are not affected, and the gate keeps its own state.
-- KEYS[1] prefix   the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now      ms, or '' for the server's time
-- ARGV[2] paused   1 to pause, 0 to resume
-- Returns 1, or 0 when nothing changed; -2 when the channel is not registered.
--- use channel rest outcomes gate wake
local prefix, bell, now, paused = KEYS[1], KEYS[2], clock(ARGV[1]), ARGV[2]
local channel = load_channel(prefix)
if not channel then
  return -2
end
local changed
if paused == '1' then
  changed = redis.call('HSETNX', prefix .. 'gate', 'paused', now)
else
  changed = redis.call('HDEL', prefix .. 'gate', 'paused')
end
tail(prefix, bell, channel, nil, now, 0)
return changed
