#!lua
--- Records moderation decisions, one per key: a repeat gets the first one's answer.
-- KEYS[1] prefix         of the decisions
-- ARGV[1] now            ms, or '' for the server's time
-- ARGV[2] kept_ms
-- ARGV[3…] decisions     groups of 8: key, key of the message whatever its content (or ''; a second decision on it is
--                        counted), answer for a repeat, effects (or ''), name to count it by, entry of the stream,
--                        verdict and policy with a blank between ('' for one that was too late), ms that it took
-- Returns for each decision '', or the answer that its key already has.
--- use channel
local prefix, now, kept_ms = KEYS[1], clock(ARGV[1]), tonumber(ARGV[2])
local FIRST, GROUP = 3, 8

-- Counted and trimmed once per call, not once per decision.
local verdicts = {}
local function count_verdict(name, by)
  verdicts[name] = (verdicts[name] or 0) + (by or 1)
end

-- The upper bounds of the buckets in ms; `pushlane.operators.decisions` repeats them.
local TOOK_MS = { 5, 10, 25, 50, 100, 250, 500, 1000, 1500, 2000 }

local function measure(made_by, took)
  count_verdict('all ' .. made_by)
  count_verdict('took_ms ' .. made_by, took)
  for _, bound in ipairs(TOOK_MS) do
    if took <= bound then
      count_verdict('took_' .. bound .. ' ' .. made_by)
      return
    end
  end
end

-- Effects are applied in the order in which their decisions were recorded, so each decision gets its own time, later
-- than all before it, even for many in one ms or when the clock steps back.
local NEXT_MS = 1 / 1024 -- a fraction that a double still holds next to the ms of a date

local last
local function next_time()
  last = math.max(now, (last or tonumber(redis.call('GET', prefix .. 'last') or '0')) + NEXT_MS)
  return last
end

local function record(at)
  local key, message_key, effects = ARGV[at], ARGV[at + 1], ARGV[at + 3]
  if not redis.call('SET', prefix .. 'by-key:' .. key, ARGV[at + 2], 'NX', 'PX', kept_ms) then
    return redis.call('GET', prefix .. 'by-key:' .. key)
  end
  redis.call('XADD', prefix .. 'stream', '*', 'key', key, 'decision', ARGV[at + 5])
  count_verdict(ARGV[at + 4])
  if ARGV[at + 6] ~= '' then
    measure(ARGV[at + 6], tonumber(ARGV[at + 7]))
  end
  if message_key ~= '' and not redis.call('SET', prefix .. 'by-message:' .. message_key, key, 'NX', 'PX', kept_ms) then
    count_verdict('same_key_other_content')
  end
  if effects ~= '' then
    redis.call('SET', prefix .. 'effects:' .. key, effects)
    redis.call('ZADD', prefix .. 'unfed', next_time(), key)
  end
  return ''
end

local answers = {}
for at = FIRST, #ARGV, GROUP do
  answers[#answers + 1] = record(at)
end
for name, times in pairs(verdicts) do
  redis.call('HINCRBY', prefix .. 'verdicts', name, times)
end
if last then
  redis.call('SET', prefix .. 'last', last, 'PX', kept_ms)
end
redis.call('XTRIM', prefix .. 'stream', 'MINID', '~', math.max(now - kept_ms, 0))
return answers
