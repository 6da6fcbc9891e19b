#!lua flags=allow-oom
--- One turn of a drain: settles finished pushes, then claims ready batches for the free slots.
-- KEYS[1] prefix    the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now       ms, or '' for the server's time
-- ARGV[2] latest    upper bound of the rate window's clock in ms, or ''
-- ARGV[3] drain     the drain's random id, the first part of its tokens
-- ARGV[4] turn      its number, from 0; repeating the last turn returns the same claims and settles nothing twice
-- ARGV[5] free      slots that the drain can fill; 0 when it is full, -1 when it only settles
-- ARGV[6] busy      its pushes still in flight
-- ARGV[7] lease_ms
-- ARGV[8] stays     1 if the drain waits a while for the next message when the channel is empty, else 0
-- ARGV[9…] settled  groups of 12: conversation, token, outcome, wait ms (-1 none), dead (a 0 or 1 per message;
--                   '' for no attempt), reason, detail, reached (0 or 1), lost (0 or 1),
--                   split (size of the first part, or 0),
--                   lone (0 or 1: a throttling that may be meant for its conversation alone),
--                   took (ms that the push took; 0 if it was never begun, or its worker was lost)
-- outcome: 1 delivered, 2 throttled, 3 misconfigured, 4 rejected, 5 failed, 6 unknown, 7 unsent
-- status: 0 stale, 1 current, 2 spared (the channel is blamed, so that nothing died and no attempt was spent)
-- Returns {wait, settled, claims, now, why, closed, soon, leaves, change, clock}:
--   wait     ms until something can be claimed; 0 now, -1 not before an outcome or an enqueue
--   settled  the status of each settlement
--   claims   each {conversation, token, probe, details, id, record, …}; probe is 0, or for a probe 1 + the ms until it
--            would be due; details is '', or those of each message ('' for one without any) if any has some
--   now      ms
--   why      what it waits for: 'empty', 'rate' or 'gate'
--   closed   1 if the gate is closed, so that batches claimed ahead must not be pushed, except a probe; else 0
--   soon     1 if anything was claimed or can be soon, else 0
--   leaves   1 if the drain leaves with this turn, as it has no push in flight either and does not stay; else 0
--   change   {state, ms until it ends or the next probe, reason} if this turn changed the gate's state, else {}
--   clock    the time of the rate window's clock in ms
-- or {-2} when the channel is not registered.
--- use old_record record tombstone finish channel throughput rest place outcomes gate wake lease blame pushes settle due claim
local prefix, bell = KEYS[1], KEYS[2]
local now, latest, drain, turn = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local free, busy, lease_ms, stays = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1'
local FIRST, GROUP = 9, 12
local TURN_KEPT_MS = 300000

local channel = load_channel(prefix)
if not channel then
  return { -2 }
end
local gate = load_gate(prefix)
local turn_key = prefix .. 'turn:' .. drain

local function repeated()
  local last = redis.call('GET', turn_key)
  local number, settled, listed = string.match(last or '', '^(%d+)\n(%d*)\n(.*)$')
  -- This call was delayed on the way and has been repeated on another connection: no drain would own its claims.
  if number and tonumber(number) > tonumber(turn) then
    return { 0, {}, {}, now, 'empty', 0, 1, 0, {}, rate_clock(gate, now) }
  end
  if number ~= turn then
    return nil
  end
  local conversations, statuses = {}, {}
  for conversation in string.gmatch(listed, '[^\n]+') do
    conversations[#conversations + 1] = conversation
  end
  for status in string.gmatch(settled, '%d') do
    statuses[#statuses + 1] = tonumber(status)
  end
  return { 0, statuses, reread_claims(prefix, drain .. ':' .. turn .. ':', conversations, now), now, 'empty', 0, 1, 0,
    {}, rate_clock(gate, now) }
end

local function settlements()
  local all = {}
  for at = FIRST, #ARGV, GROUP do
    all[#all + 1] = {
      conversation = ARGV[at], token = ARGV[at + 1], outcome = tonumber(ARGV[at + 2]), wait = tonumber(ARGV[at + 3]),
      dead = ARGV[at + 4], reason = ARGV[at + 5], detail = ARGV[at + 6], reached = ARGV[at + 7] == '1',
      lost = ARGV[at + 8] == '1', split = tonumber(ARGV[at + 9]), lone = ARGV[at + 10] == '1',
      took = tonumber(ARGV[at + 11]),
    }
  end
  return all
end

local function remember(statuses, claims)
  local conversations = {}
  for i, claim in ipairs(claims) do
    conversations[i] = claim[1]
  end
  redis.call('SET', turn_key, turn .. '\n' .. table.concat(statuses) .. '\n' .. table.concat(conversations, '\n'),
    'PX', TURN_KEPT_MS)
end

-- A drain with free slots listens. A full one keeps the current ring alive, and rings again itself when it leaves.
local function listen(claimed, leaves)
  local listeners = prefix .. 'listeners'
  if claimed < free and not leaves then
    redis.call('ZREMRANGEBYSCORE', listeners, '-inf', now)
    redis.call('ZREMRANGEBYSCORE', listeners, '(' .. (now + LISTEN_MS), '+inf')
    redis.call('ZADD', listeners, now + LISTEN_MS, drain)
    redis.call('PEXPIRE', listeners, 60000)
    return
  end
  redis.call('ZREM', listeners, drain)
  if free >= 0 and not leaves and ring_is_out(prefix, now) then
    set_pending(prefix, now)
  end
end

local again = repeated()
if again then
  return again
end
if turn == '0' then
  redis.call('DEL', prefix .. 'pending')
end
open_when_due(gate, channel, now)
take_out_step(gate, channel, now, latest)
trim_rate(prefix, channel, rate_clock(gate, now))
gate.used = count_pushing(prefix, channel, now)
local statuses = settle_all(prefix, channel, gate, now, settlements())
if counted.delivered then
  note_delivered(prefix, now, counted.delivered)
end
join_due(prefix, now)
move_due(prefix, channel, gate, now)
local claims = claim_ready(prefix, channel, gate, now, drain, turn, free, lease_ms)
remember(statuses, claims)
save_gate(prefix, gate)
write_counters(prefix)
local wait, why = claim_wait(prefix, channel, gate, now)
local soon = #claims > 0 or wait >= 0 and wait <= SOON_MS
local leaves = not soon and busy == 0 and not (stays and wait < 0 and why == 'empty')
listen(#claims, leaves)
-- A drain that no longer claims also rings for what it would have waited for.
if not someone_listens(prefix, now) then
  ring(prefix, bell, channel, gate, now, free < 0 and SOON_MS or 0)
end
return { wait, statuses, claims, now, why, (gate.paused or gate.state ~= 'open') and 1 or 0, soon and 1 or 0,
  leaves and 1 or 0, gate.change or {}, rate_clock(gate, now) }
