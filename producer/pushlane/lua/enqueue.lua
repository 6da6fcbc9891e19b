#!lua
--- Accepts up to 1,000 messages of one channel, all of them or none.
-- KEYS[1] prefix     the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now        ms, or '' for the server's time
-- ARGV[2] kind       of the messages; the channel's must be the same
-- ARGV[3…] messages  groups of 8: id, conversation, address, body, fingerprint (24 characters), due (ms, '+' and ms from
--                    now, or ''), expires (ms from now, or ''), hold ('', or r or d for what its timeout does, ms, ':', key)
-- Returns {0, sequence, state, duplicate (0 or 1), …} with three values per message, or {1} unknown channel,
-- {2, kind} wrong kind, {3, index} an id that belongs to another message, {4, depth} full, {5} Redis is nearly full.
--- use record channel rest place hold outcomes gate wake
local prefix, bell = KEYS[1], KEYS[2]
local now, kind = clock(ARGV[1]), ARGV[2]
local FIRST, GROUP = 3, 8

local channel = load_channel(prefix)
if not channel then
  return { 1 }
end
if channel.kind ~= kind then
  return { 2, channel.kind }
end

local total = (#ARGV - FIRST + 1) / GROUP
local known, fingerprints, fresh = {}, {}, 0
for i = 1, total do
  local at = FIRST + (i - 1) * GROUP
  local id, fingerprint = ARGV[at], ARGV[at + 4]
  local header = read_header(prefix .. 'message:' .. id)
  local earlier = header == '' and fingerprints[id] or field(header, 'fingerprint')
  if earlier ~= '' and earlier ~= fingerprint then
    return { 3, i - 1 }
  end
  if header ~= '' then
    known[id] = { number(header, 'sequence'), field(header, 'state') }
  elseif not fingerprints[id] then
    fingerprints[id], fresh = fingerprint, fresh + 1
  end
end

local counters = redis.call('HMGET', prefix .. 'counters', 'depth', 'accepted')
local depth, sequence = tonumber(counters[1] or 0), tonumber(counters[2] or 0)
if depth + fresh > channel.max_queued then
  return { 4, depth }
end
if fresh > 0 and redis.call('EXISTS', prefix .. 'full') == 1 then
  return { 5 }
end

local function due_of(argument)
  local due = tonumber(argument) or 0
  if string.sub(argument, 1, 1) == '+' then
    due = now + due
  end
  return due > now and due or 0
end

local function store(id, at, state, due)
  local expires = ARGV[at + 6] == '' and 0 or now + tonumber(ARGV[at + 6])
  local record = new_record(state, sequence, now, due, expires, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
  redis.call('SET', prefix .. 'message:' .. id, record)
  return record, expires
end

local function append(id, at)
  local conversation = ARGV[at + 1]
  -- A list that was not empty already has its place.
  if redis.call('RPUSH', prefix .. 'conversation:' .. conversation, id) == 1 then
    place(prefix, conversation, now, 0)
  end
end

local function accept_held(id, at)
  local on_timeout, timeout, hold_key = string.match(ARGV[at + 7], '^(.)(%d+):(.*)$')
  local record = store(id, at, 'h', now + tonumber(timeout))
  local decision, state = redis.call('GET', prefix .. 'decision:' .. hold_key), 'h'
  if decision then
    state = decide(prefix, id, record, decision, now)
  else
    hold(prefix, id, on_timeout, hold_key)
  end
  if state ~= 'x' then
    append(id, at)
  end
  return state
end

local function accept(id, at)
  local due = due_of(ARGV[at + 5])
  if ARGV[at + 7] ~= '' then
    return accept_held(id, at)
  end
  if due > 0 then
    local record, expires = store(id, at, 's', due)
    redis.call('ZADD', prefix .. 'scheduled', expires > 0 and math.min(due, expires) or due, scheduled_member(record, id))
    return 's'
  end
  store(id, at, 'q', 0)
  append(id, at)
  return 'q'
end

local reply = { 0 }
for i = 1, total do
  local at = FIRST + (i - 1) * GROUP
  local id = ARGV[at]
  local before = known[id]
  if not before then
    sequence = sequence + 1
    known[id] = { sequence, accept(id, at) }
  end
  reply[#reply + 1] = known[id][1]
  reply[#reply + 1] = known[id][2]
  reply[#reply + 1] = before and 1 or 0
end
count('accepted', fresh)
count('depth', fresh)
write_counters(prefix)
tail(prefix, bell, channel, nil, now, 0)
return reply
