#!lua
--- Accepts 1 to 1,000 messages of one channel, all of them or none.
-- KEYS[1] prefix     the channel's key prefix
-- KEYS[2] bell
-- ARGV[1] now        ms, or '' for the server's time
-- ARGV[2] kind       of the messages; the channel's must be the same
-- ARGV[3] fresh      1 if all ids were drawn for this call: only the same call can have accepted them before
-- ARGV[4…] messages  groups of 4: id, conversation, content (the record from its fingerprint on), options ('' for none)
-- options: due (ms, '+' and ms from now, or ''), expires (ms from now, or ''), trace (its context, or '') and hold ('', or
-- r or d for what its timeout does, ms, ':', key), with a '|' between them
-- Returns {0, sequence, state, duplicate (0 or 1), …} with three values per message, or {1} unknown channel,
-- {2, kind} wrong kind, {3, index} an id that belongs to another message, {4, depth} full, {5} Redis is nearly full.
--- use old_record record tombstone channel rest place hold outcomes gate wake
local prefix, bell = KEYS[1], KEYS[2]
local now, kind, fresh = clock(ARGV[1]), ARGV[2], ARGV[3] == '1'
local FIRST, GROUP = 4, 4

local channel = load_channel(prefix)
if not channel then
  return { 1 }
end
if channel.kind ~= kind then
  return { 2, channel.kind }
end

local total, keys = (#ARGV - FIRST + 1) / GROUP, {}
for i = 1, total do
  keys[i] = prefix .. 'message:' .. ARGV[FIRST + (i - 1) * GROUP]
end
local any_live = redis.call('EXISTS', unpack(keys)) > 0

-- Fingerprint (of a finished message the third that is kept), sequence and state of what has this id; nil if nothing
-- has.
local function look_up(id)
  local record = any_live and read_header(prefix, id) or ''
  if record ~= '' then
    return field(record, 'fingerprint'), number(record, 'sequence'), field(record, 'state')
  end
  local tombstone = find_tombstone(prefix, channel, id, now)
  if tombstone then
    return read_tombstone(tombstone)
  end
end

local known = {} -- sequence and state by id: of messages that were there before, and of those of this call

-- Looks up all messages. Returns how many are new, and the index of one whose id belongs to another message, or nil.
local function look_up_all()
  local first_at, new = {}, 0
  for i = 1, total do
    local at = FIRST + (i - 1) * GROUP
    local id, content = ARGV[at], ARGV[at + 2]
    local fingerprint, sequence, state = look_up(id)
    if fingerprint then
      known[id] = { sequence, state }
    elseif first_at[id] then
      fingerprint = fingerprint_of(ARGV[first_at[id] + 2])
    else
      first_at[id], new = at, new + 1
    end
    if fingerprint and string.sub(content, 1, #fingerprint) ~= fingerprint then
      return new, i - 1
    end
  end
  return new
end

local new, conflict = total, nil
if any_live or not fresh or look_up(ARGV[FIRST]) then
  new, conflict = look_up_all()
end
if conflict then
  return { 3, conflict }
end

local counters = redis.call('HMGET', prefix .. 'counters', 'depth', 'accepted')
local depth, sequence = tonumber(counters[1] or 0), tonumber(counters[2] or 0)
if depth + new > channel.max_queued then
  return { 4, depth }
end
if new > 0 and redis.call('EXISTS', prefix .. 'full') == 1 then
  return { 5 }
end

-- What this call writes at its end: keys and records alternately, fields and values of the hash `details` alternately,
-- the ids that each conversation gets, in order, the conversations in the order of their first one, and the decisions
-- on held messages that were there before them.
local records, details, lists, conversations, decided = {}, {}, {}, {}, {}
local heads = {} -- the state of the first id of each list

local function append(conversation, id, state)
  local list = lists[conversation]
  if not list then
    list = {}
    lists[conversation], conversations[#conversations + 1], heads[conversation] = list, conversation, state
  end
  list[#list + 1] = id
end

-- When a message joins its conversation; 0 for now.
local function due_of(argument)
  local due = tonumber(argument) or 0
  if string.sub(argument, 1, 1) == '+' then
    due = now + due
  end
  return due > now and due or 0
end

-- Returns the state of a message with a hold.
local function hold(id, record, on_hold, expires)
  local on_timeout, timeout, key = string.match(on_hold, '^(.)(%d+):(.*)$')
  details[#details + 1], details[#details + 2] = id, new_details(now, now + timeout, expires, on_timeout .. key)
  local decision = redis.call('GET', prefix .. 'decision:' .. key)
  if decision then
    decided[#decided + 1] = { id, record, decision }
    return forbids(decision) and 'x' or 'q'
  end
  wait_for(prefix, id, key)
  return 'h'
end

-- Returns the record and the state of a message with options.
local function with_options(id, at)
  local due, expires, trace, on_hold = string.match(ARGV[at + 3], '^(.-)|(.-)|(.-)|(.*)$')
  if trace ~= '' then
    details[#details + 1], details[#details + 2] = id .. TRACE, trace
  end
  due, expires = due_of(due), expires == '' and 0 or now + tonumber(expires)
  if on_hold ~= '' then
    local record = new_record('h', 'd', sequence, now, ARGV[at + 2])
    return record, hold(id, record, on_hold, expires)
  end
  local state = due > 0 and 's' or 'q'
  local record = new_record(state, 'd', sequence, now, ARGV[at + 2])
  if due > 0 or expires > 0 then
    details[#details + 1], details[#details + 2] = id, new_details(state == 's' and 0 or now, due, expires, '')
  end
  if state == 's' then
    local at_ms = expires > 0 and math.min(due, expires) or due
    redis.call('ZADD', prefix .. 'scheduled', at_ms, scheduled_member(record, id))
  end
  return record, state
end

-- Returns the message's state.
local function accept(i, at)
  local id, record, state = ARGV[at], nil, 'q'
  if ARGV[at + 3] == '' then
    record = new_record('q', '-', sequence, now, ARGV[at + 2])
  else
    record, state = with_options(id, at)
  end
  records[#records + 1], records[#records + 2] = keys[i], record
  if state == 'q' or state == 'h' then
    append(ARGV[at + 1], id, state)
  end
  return state
end

local function write()
  if #records > 0 then
    redis.call('MSET', unpack(records))
  end
  if #details > 0 then
    redis.call('HSET', prefix .. 'details', unpack(details))
  end
  for _, message in ipairs(decided) do
    decide(prefix, message[1], message[2], message[3], now)
  end
  local ready = {}
  for _, conversation in ipairs(conversations) do
    local ids = lists[conversation]
    -- A list that was not empty already has its place.
    if redis.call('RPUSH', prefix .. 'conversation:' .. conversation, unpack(ids)) == #ids then
      if heads[conversation] == 'h' then
        place(prefix, conversation, now, 0)
      else
        ready[#ready + 1] = conversation
      end
    end
  end
  set_ready(prefix, ready, now)
end

local reply = { 0 }
for i = 1, total do
  local at = FIRST + (i - 1) * GROUP
  local id, duplicate = ARGV[at], 1
  if not known[id] then
    sequence, duplicate = sequence + 1, 0
    known[id] = { sequence, accept(i, at) }
  end
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = known[id][1], known[id][2], duplicate
end
write()
count('accepted', new)
count('depth', new)
write_counters(prefix)
tail(prefix, bell, channel, nil, now, 0)
return reply
