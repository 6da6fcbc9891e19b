#!lua flags=no-writes
--- Reads what there is of one channel at one moment.
-- KEYS[1] prefix   the channel's key prefix
-- ARGV[1] now      ms, or '' for the server's time
-- Returns {now, record, gate, counters, sizes, rate, oldest_ready, oldest_blocked, unknown}:
--   now             ms
--   record          {version, kind, queue, max_queued, rate_limit, rate_window_ms}, each false if it is not there
--   gate            {state, until, cap, reason, changed, paused}, the same
--   counters        names and values alternately
--   sizes           how many are in scheduled, ready, delayed, leases, held, blocked and dead
--   rate            how many pushes ended in the rate window
--   oldest_ready    when the head of the conversation that has been ready longest was accepted, or joined it; ms, or 0
--   oldest_blocked  since when a conversation is blocked; ms, or 0
--   unknown         the entries of the last 5 pushes of unknown outcome, the last one first
--- use old_record record channel
local prefix, now = KEYS[1], clock(ARGV[1])
local LAST_UNKNOWN = 5

-- When the first message of a conversation was accepted, or joined it.
local function head_since(conversation)
  local id = redis.call('LINDEX', prefix .. 'conversation:' .. conversation, 0)
  local record = id and read_header(prefix, id)
  return record and state_of(record) and number(details_of(prefix, id, record), 'joined') or 0
end

local sizes = {}
for i, name in ipairs({ 'scheduled', 'ready', 'delayed', 'leases', 'held', 'blocked', 'dead' }) do
  sizes[i] = redis.call('ZCARD', prefix .. name)
end
local ready = redis.call('ZRANGE', prefix .. 'ready', 0, 0)[1]
local blocked = redis.call('ZRANGE', prefix .. 'blocked', 0, 0, 'WITHSCORES')[2]
return {
  now,
  redis.call('HMGET', prefix .. 'channel', 'version', 'kind', 'queue', 'max_queued', 'rate_limit', 'rate_window_ms'),
  redis.call('HMGET', prefix .. 'gate', 'state', 'until', 'cap', 'reason', 'changed', 'paused'),
  redis.call('HGETALL', prefix .. 'counters'),
  sizes,
  redis.call('LLEN', prefix .. 'rate'),
  ready and head_since(ready) or 0,
  tonumber(blocked or 0),
  redis.call('XREVRANGE', prefix .. 'unknown', '+', '-', 'COUNT', LAST_UNKNOWN),
}
