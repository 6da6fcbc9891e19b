#!lua flags=allow-oom
--- Does about once a second what only time brings: moves what is due, rings for it, and lists leases that ran out.
-- Leases are listed only after sweeps have run unbroken for a while: after an outage of Redis the drains settle first.
-- KEYS[1] prefix    the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now       ms, or '' for the server's time
-- ARGV[2] latest    ms that the rate window's clock can show at most, or ''
-- ARGV[3] sweeper   the dispatcher's random id
-- Returns {more (0 or 1), expired, now, change, clock}: whether to call again at once; each expired lease {conversation,
-- token, id, record, …}; change and clock as turn.lua has them. {-1} when another dispatcher swept just now, {-2} when the
-- channel is not registered.
--- use record channel rest place hold outcomes gate wake due
local prefix, bell, now, latest, sweeper = KEYS[1], KEYS[2], clock(ARGV[1]), ARGV[2], ARGV[3]
local SWEEP_EACH_MS = 700 -- one dispatcher of the fleet a channel; less than a look each 900 ms, which is seldom punctual
local TAKE_OVER_MS = 100 -- how long the others leave what is left to the one that left it, which goes on at once
local UNBROKEN_MS = 5000 -- sweeps must have run this long
local GAP_MS = 2500 -- this long without a sweep is a break
local MAX_LEASE_MS = 300000 -- longer ones come from a clock that stepped back (settings refuse more)
local ROOM_BYTES = 67108864 -- of Redis's memory, kept from producers; of a small one a tenth
local FULL_MS = 2000 -- how long producers are refused unless another sweep says so
local MAX_LISTED = 20 -- of 10 messages each: 200 inspected

local channel = load_channel(prefix)
if not channel then
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

-- A hold whose time is over does what its sender chose, unless there is a decision: whoever made that may have died
-- before it had met all messages of its key.
local function end_hold(conversation, id)
  local record = redis.call('GET', prefix .. 'message:' .. id)
  local releases = string.sub(record, content_end(record) + 1, content_end(record) + 1) == 'r'
  local decision = redis.call('GET', prefix .. 'decision:' .. hold_key(record)) or releases and 'a'
  local state = 'x'
  if decision then
    leave_hold(prefix, id, record)
    state = decide(prefix, id, record, decision, now)
  else
    kill(prefix, id, now, 'e', 'its hold timed out without a decision')
  end
  if state == 'x' then
    redis.call('LPOP', prefix .. 'conversation:' .. conversation)
    unblock(prefix, conversation)
  end
end

-- Returns how many holds were over.
local function end_holds()
  local conversations = redis.call('ZRANGEBYSCORE', prefix .. 'held', '-inf', now, 'LIMIT', 0, MAX_INSPECTED)
  for _, conversation in ipairs(conversations) do
    local id, head = drop_heads(prefix, conversation, now)
    if id and string.sub(head, 1, 2) == '1h' and tonumber(string.sub(head, 59, 71)) <= now then
      end_hold(conversation, id)
    end
    place(prefix, conversation, now, 0)
  end
  return #conversations
end

local function expired_leases()
  local leases = prefix .. 'leases'
  local conversations = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, MAX_LISTED)
  if #conversations == 0 then
    conversations = redis.call('ZRANGEBYSCORE', leases, '(' .. (now + MAX_LEASE_MS), '+inf', 'LIMIT', 0, MAX_LISTED)
  end
  local expired = {}
  for _, conversation in ipairs(conversations) do
    local claim = redis.call('HGET', prefix .. 'claims', conversation)
    local token, listed = string.match(claim, '^(%S+) %d+ %d+ (.*)$')
    local lease = { conversation, token }
    for id in string.gmatch(listed, '[^,]+') do
      lease[#lease + 1], lease[#lease + 2] = id, redis.call('GETRANGE', prefix .. 'message:' .. id, 0, HEADER_BYTES - 1)
    end
    expired[#expired + 1] = lease
  end
  return expired
end

-- Near Redis's memory limit producers are refused, so that there is room for what drains need: Celery's tasks may be there,
-- too, and what is delivered leaves a tombstone.
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
-- Behind a head whose hold has ended the next one may be held and over as well.
local more = joined or readied >= MAX_MOVED or #expired >= MAX_LISTED or ended > 0
redis.call('HSET', prefix .. 'sweep', 'at', now, 'since', since, 'more', more and sweeper or '')
save_gate(prefix, gate)
write_counters(prefix)
tail(prefix, bell, channel, gate, now, SOON_MS)
return { more and 1 or 0, expired, now, gate.change or {}, rate_clock(gate, now) }
