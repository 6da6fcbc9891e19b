#!lua flags=allow-oom
--- Adds an entry to the audit, also if Redis is full: what frees memory must not wait for it.
-- KEYS[1] audit
-- ARGV[1] most     about how many entries are kept
-- ARGV[2] by
-- ARGV[3] act
-- ARGV[4] channel
-- ARGV[5] target
-- ARGV[6] result   '' before the act
-- ARGV[7] of       the id of the entry before the act, or ''
-- Returns the entry's id.
local audit, most, by, act = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local channel, target, result, of = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
return redis.call('XADD', audit, 'MAXLEN', '~', most, '*', 'by', by, 'act', act, 'channel', channel,
  'target', target, 'result', result, 'of', of)
