#!lua flags=no-writes
--- Reads one message's record, and whether a push of it is in flight.
-- KEYS[1] prefix   the channel's key prefix
-- ARGV[1] id
-- Returns {record, in flight (0 or 1)}, or {} when there is no such message.
--- use record
local prefix, id = KEYS[1], ARGV[1]
local record = redis.call('GET', prefix .. 'message:' .. id)
if not record then
  return {}
end
local claim = redis.call('HGET', prefix .. 'claims', conversation_of(record))
if claim and string.find(claim, id, 1, true) then
  return { record, 1 }
end
return { record, 0 }
