#!lua flags=allow-oom
--- Whether there is a ring for the channel that no drain has answered yet. Writes nothing, but a server that is no
-- longer the primary refuses it, as it would not refuse a read: there, rings are those of the past.
-- KEYS[1] prefix   the channel's key prefix
-- Returns 1 or 0.
local prefix = KEYS[1]

return redis.call('EXISTS', prefix .. 'pending')
