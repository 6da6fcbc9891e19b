#!lua flags=allow-oom
--- Records a session of the page, which ends the oldest ones above the limit, and that its address has logged in.
-- KEYS[1] prefix       of the page
-- ARGV[1] now          ms, or '' for the server's time
-- ARGV[2] mac          of the session
-- ARGV[3] name
-- ARGV[4] longest_ms
-- ARGV[5] idle_ms
-- ARGV[6] most         sessions at a time
-- ARGV[7] address
-- ARGV[8] proven_ms    how long the address counts as proven
-- ARGV[9] most_proven  how many addresses do
-- Returns how many sessions it has ended.
--- use channel
local prefix, now, mac, name, longest_ms, idle_ms = KEYS[1], clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local most, address, proven_ms, most_proven = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])

redis.call('SET', prefix .. 'session:' .. mac, name, 'PX', longest_ms)
redis.call('SET', prefix .. 'active:' .. mac, 1, 'PX', idle_ms)
redis.call('ZADD', prefix .. 'sessions', now, mac)
redis.call('PEXPIRE', prefix .. 'sessions', longest_ms)
local ended = 0
for _, oldest in ipairs(redis.call('ZRANGE', prefix .. 'sessions', 0, -most - 1)) do
  redis.call('ZREM', prefix .. 'sessions', oldest)
  redis.call('UNLINK', prefix .. 'session:' .. oldest, prefix .. 'active:' .. oldest)
  ended = ended + 1
end

redis.call('UNLINK', prefix .. 'login:' .. address)
redis.call('ZADD', prefix .. 'proven', now, address)
redis.call('PEXPIRE', prefix .. 'proven', proven_ms)
redis.call('ZREMRANGEBYSCORE', prefix .. 'proven', '-inf', now - proven_ms)
redis.call('ZREMRANGEBYRANK', prefix .. 'proven', 0, -most_proven - 1)
return ended
