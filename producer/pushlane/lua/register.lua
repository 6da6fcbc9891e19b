#!lua flags=allow-oom
--- Writes the channel's record, which tells producers and scripts what the channel is, and rings if work is waiting.
-- Registering may bring a new token or address: a gate that broke as misconfigured probes at once. Fails if a newer
-- release has registered the channel: its record stays.
-- KEYS[1] prefix   the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now      ms, or '' for the server's time
-- ARGV[2…] fields  name, value, …
-- Returns 1 when the channel was not registered before, else 0.
--- use channel rest outcomes gate wake
local prefix, bell, now = KEYS[1], KEYS[2], clock(ARGV[1])
local known = load_channel(prefix)
redis.call('DEL', prefix .. 'channel')
redis.call('HSET', prefix .. 'channel', 'version', CHANNEL_VERSION, unpack(ARGV, 2))
redis.call('HSETNX', prefix .. 'counters', 'depth', 0) -- if a channel has none, Redis has lost its data
local gate = load_gate(prefix)
if gate.state == 'broken' and string.find(gate.reason, '^misconfigured') then
  gate['until'], gate.doubts, gate.dirty = now, 0, true
  save_gate(prefix, gate)
end
tail(prefix, bell, load_channel(prefix), gate, now, 0)
return known and 0 or 1
