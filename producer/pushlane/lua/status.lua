#!lua flags=no-writes
--- Reads what there is of one message, and whether a push of it is in flight.
-- KEYS[1] prefix   the channel's key prefix
-- ARGV[1] now      ms, or '' for the server's time
-- ARGV[2] id
-- Returns {record (without address and body), details, in flight (0 or 1), pushes}, or {} when there is no such
-- message. pushes: the entries of its conversation's list, oldest first, at most 20 (`lib_pushes.lua`).
--- use old_record record channel tombstone
local prefix, now, id = KEYS[1], clock(ARGV[1]), ARGV[2]

-- The record and the details that say what a tombstone says.
local function unpack_tombstone(tombstone)
  local state, kept = string.sub(tombstone, 1, 1), string.sub(tombstone, 2, 36)
  local took, more, conversation = string.match(tombstone, '^(-?%d+)(%S*) (.*)$', 37)
  local record = string.sub('2' .. state .. 'd' .. kept .. zeros('fingerprint'), 1, HEADER_BYTES)
  record = with(record, 'conversation_bytes', string.format('%03d', #conversation)) .. conversation
  local codes, joined, due, final, pushed = string.match(more, '^,(.*),(%d*),(%d*),(%d*),(%d*)$')
  local accepted, delivered = number(record, 'accepted'), state == 'd'
  local made = accepted + took
  local details = new_details(tonumber(joined or '') or accepted, tonumber(due or '') or 0, 0, '')
  details = with(details, 'reason', codes or delivered and '--0001' or '--0000')
  return record, with(details, 'final', ms(tonumber(final or '') or made)
    .. ms(tonumber(pushed or '') or delivered and made or 0))
end

local function pushes_of(record)
  return redis.call('LRANGE', prefix .. 'pushes:' .. conversation_of(record), 0, -1)
end

local record = read_header(prefix, id)
if is_unreadable(record) then
  return {}
end
if record == '' then
  local channel = load_channel(prefix)
  local tombstone = channel and find_tombstone(prefix, channel, id, now)
  if not tombstone then
    return {}
  end
  local last, details = unpack_tombstone(tombstone)
  return { last, details, 0, pushes_of(last) }
end
local claim = redis.call('HGET', prefix .. 'claims', conversation_of(record))
local in_flight = claim and string.find(claim, id, 1, true) and 1 or 0
return { record, details_of(prefix, id, record), in_flight, pushes_of(record) }
