#!lua flags=allow-oom
--- Does the time-driven work about once a second: moves what is due, rings for it, and lists expired leases.
-- Leases are listed only after sweeps have run without a gap for a while: after a Redis outage the drains settle first.
-- KEYS[1] prefix    the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now       ms, or '' for the server's time
-- ARGV[2] latest    upper bound of the rate window's clock in ms, or ''
-- ARGV[3] sweeper   the dispatcher's random id
-- Returns {more, expired, now, died, change, clock}:
--   more     1 to call again at once, else 0
--   expired  each expired lease as a claim of turn.lua, but without bodies
--   now      ms
--   died     {unread, id, reason, …}: what died without a push since the last sweep, and how many more dead letters
--            there are of that time
--   change   as in turn.lua
--   clock    as in turn.lua
-- {-1} when another dispatcher has just swept, or {-2} when the channel is not registered, or by an older release, so
-- that its record is replaced.
--- use old_record record channel rest place hold outcomes gate wake lease due
local prefix, bell, now, latest, sweeper = KEYS[1], KEYS[2], clock(ARGV[1]), ARGV[2], ARGV[3]
local SWEEP_EACH_MS = 700 -- one dispatcher of the fleet per channel; less than the 900 ms between looks, which jitter
local TAKE_OVER_MS = 100 -- how long the others leave unfinished work to its sweeper, which continues at once
local UNBROKEN_MS = 5000 -- sweeps must have run without a gap for this long
local GAP_MS = 2500 -- this long without a sweep is a gap
local MAX_LEASE_MS = 300000 -- longer ones come from a clock that stepped back (settings refuse more)
local ROOM_BYTES = 67108864 -- memory that producers must leave free; in a small Redis a tenth of it
local FULL_MS = 2000 -- how long producers are refused unless another sweep renews it
local MAX_LISTED = 20 -- of 10 messages each: 200 inspected
local MAX_DIED = 100

local channel = load_channel(prefix)
if not channel or channel.version < CHANNEL_VERSION then
  return { -2 }
end
local swept = redis.call('HMGET', prefix .. 'sweep', 'at', 'since', 'more')
local since_last = now - (tonumber(swept[1]) or 0)
local rests_ms = swept[3] == '' and SWEEP_EACH_MS or TAKE_OVER_MS
if since_last >= 0 and since_last < rests_ms and swept[3] ~= sweeper then
  return { -1 }
end
local since = tonumber(swept[2]) or now
if since_last < 0 or since_last > GAP_MS then
  since = now
end

-- A hold that timed out does what its sender chose, unless there is a decision: the process that made it may have died
-- before it had reached all messages of the key.
local function end_hold(conversation, id)
  local record = read_header(prefix, id)
  local details = details_of(prefix, id, record)
  local decision = redis.call('GET', prefix .. 'decision:' .. hold_key(details)) or hold_releases(details) and 'a'
  local state = 'x'
  if decision then
    leave_hold(prefix, id, record, details)
    state = decide(prefix, id, record, decision, now)
  else
    kill(prefix, id, record, now, 'e', 'its hold timed out without a decision')
  end
  if state == 'x' then
    redis.call('LPOP', prefix .. 'conversation:' .. conversation)
    unblock(prefix, conversation)
  end
end

-- Returns how many conversations with an expired hold it handled.
local function end_holds()
  local conversations = redis.call('ZRANGEBYSCORE', prefix .. 'held', '-inf', now, 'LIMIT', 0, MAX_INSPECTED)
  for _, conversation in ipairs(conversations) do
    local id, head = drop_heads(prefix, conversation, now)
    if id and state_of(head) == 'h' and number(details_of(prefix, id, head), 'due') <= now then
      end_hold(conversation, id)
    end
    place(prefix, conversation, now, 0)
  end
  return #conversations
end

-- A lease whose batch has an unreadable record is left to the dispatchers of the newer version.
local function expired_leases()
  local leases = prefix .. 'leases'
  local conversations = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, MAX_LISTED)
  if #conversations == 0 then
    conversations = redis.call('ZRANGEBYSCORE', leases, '(' .. (now + MAX_LEASE_MS), '+inf', 'LIMIT', 0, MAX_LISTED)
  end
  local expired = {}
  for _, conversation in ipairs(conversations) do
    local lease, records, readable = read_claim(redis.call('HGET', prefix .. 'claims', conversation)), {}, true
    for i, id in ipairs(lease.ids) do
      records[i] = read_header(prefix, id)
      readable = readable and not is_unreadable(records[i])
    end
    if readable then
      local listed = { conversation, lease.token, 0, listed_details(prefix, lease.ids, records) }
      for i, id in ipairs(lease.ids) do
        listed[#listed + 1], listed[#listed + 2] = id, records[i]
      end
      expired[#expired + 1] = listed
    end
  end
  return expired
end

-- Whatever script they died in, for the log; the drain itself logs those that died of a push. What dies in this ms, the
-- next sweep finds: more may follow in it.
local function died_since(last)
  local dead, before = prefix .. 'dead', '(' .. now
  local ids = redis.call('ZRANGEBYSCORE', dead, last, before, 'LIMIT', 0, MAX_DIED)
  local died = { #ids < MAX_DIED and 0 or redis.call('ZCOUNT', dead, last, before) - #ids }
  for _, id in ipairs(ids) do
    local record = read_header(prefix, id)
    local reason = state_of(record) == 'x' and field(details_of(prefix, id, record), 'reason')
    if reason == 'e' or reason == 'f' then
      died[#died + 1], died[#died + 2] = id, reason
    end
  end
  return died
end

-- Refuses producers near Redis's memory limit, so that drains have room: Celery's tasks may be in the same Redis, and
-- each delivered message leaves a tombstone.
local function mark_full()
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then
    return -- an ACL forbids it
  end
  local used, limit = string.match(info, 'used_memory:(%d+)'), tonumber(string.match(info, 'maxmemory:(%d+)') or 0)
  if limit > 0 and limit - tonumber(used) < math.min(limit / 10, ROOM_BYTES) then
    redis.call('SET', prefix .. 'full', used, 'PX', FULL_MS)
  end
end

mark_full()
local gate = load_gate(prefix)
open_when_due(gate, channel, now)
take_out_step(gate, channel, now, latest)
trim_rate(prefix, channel, rate_clock(gate, now))
look_again(prefix, now)
end_rests(prefix, channel, now)
local unbroken = now - since >= UNBROKEN_MS
local expired = unbroken and expired_leases() or {}
local ended = unbroken and end_holds() or 0
local joined = join_due(prefix, now)
local readied = move_due(prefix, channel, gate, now)
-- The message behind a head whose hold has ended may have an expired hold, too.
local more = joined or readied >= MAX_MOVED or #expired >= MAX_LISTED or ended > 0
redis.call('HSET', prefix .. 'sweep', 'at', now, 'since', since, 'more', more and sweeper or '')
save_gate(prefix, gate)
write_counters(prefix)
tail(prefix, bell, channel, gate, now, SOON_MS)
return { more and 1 or 0, expired, now, died_since(swept[1] or now), gate.change or {}, rate_clock(gate, now) }
