-- The packed record of a message: a header of fixed width, then conversation, address, body and detail. While it is
-- held the detail is what its hold's timeout does (r releases, d dead-letters) and the hold's key; `due` is when the
-- hold ends. Text, not binary: fakeredis has no `struct`, `redis-cli GET` shows it in readable form, and SETRANGE
-- changes a field in place. `message_record.py` has the same fields in Python; a test compares them. The version is 1.
--
-- state: q queued, s scheduled, h held, d delivered, c cancelled, x dead
-- reason: - none, r rejected, e expired, a exhausted, u unknown, f forbidden
-- flags: m maybe delivered, - none
local HEADER_BYTES = 147
local MAX_CONVERSATION_BYTES = 256
local MAX_DETAIL_BYTES = 2000

-- The first and the last byte of each field of the header. Numbers have leading zeros; times, from `accepted` to
-- `pushed`, are the server's in ms, 0 for never.
local FIRST_BYTE = {
  version = 1, state = 2, reason = 3, flags = 4, attempts = 5, losses = 9, part = 11, sequence = 19, accepted = 33,
  joined = 46, due = 59, expires = 72, final = 85, pushed = 98, fingerprint = 111, conversation_bytes = 135,
  address_bytes = 138, body_bytes = 142,
}
local LAST_BYTE = {
  version = 1, state = 2, reason = 3, flags = 4, attempts = 8, losses = 10, part = 18, sequence = 32, accepted = 45,
  joined = 58, due = 71, expires = 84, final = 97, pushed = 110, fingerprint = 134, conversation_bytes = 137,
  address_bytes = 141, body_bytes = 147,
}

local function ms(value)
  return string.format('%013d', value)
end

-- The bytes of a field, or of all fields from the first to the last.
local function field(record, first, last)
  return string.sub(record, FIRST_BYTE[first], LAST_BYTE[last or first])
end

-- The fingerprint in what a producer has written of a record.
local function fingerprint_of(content)
  return string.sub(content, 1, LAST_BYTE.fingerprint - FIRST_BYTE.fingerprint + 1)
end

local function number(record, name)
  return tonumber(string.sub(record, FIRST_BYTE[name], LAST_BYTE[name]))
end

-- Zeros for a field, or for all fields from the first to the last.
local function zeros(first, last)
  return string.rep('0', LAST_BYTE[last or first] - FIRST_BYTE[first] + 1)
end

local NEVER = zeros('expires')
local NO_CONTENT = zeros('address_bytes', 'body_bytes')

-- Overwrites a field in Redis, or all fields from this one on that the value fills.
local function write_field(key, name, value)
  redis.call('SETRANGE', key, FIRST_BYTE[name] - 1, value)
end

-- A record's header, and as many bytes behind it: with MAX_CONVERSATION_BYTES enough for `conversation_of`.
local function read_header(key, more)
  return redis.call('GETRANGE', key, 0, HEADER_BYTES - 1 + (more or 0))
end

-- The whole records of messages, at least one; false for one that is gone.
local function read_records(prefix, ids)
  local keys = {}
  for i, id in ipairs(ids) do
    keys[i] = prefix .. 'message:' .. id
  end
  return redis.call('MGET', unpack(keys))
end

-- Whether a newer version wrote the record, in a layout that this one does not know.
local function is_unreadable(record)
  return string.find(record, '^[^1]')
end

-- The state's letter; nil if there is no record, or an unreadable one.
local function state_of(record)
  if string.sub(record, 1, 1) == '1' then
    return string.sub(record, 2, 2)
  end
end

local function has_expired(record, now)
  local expires = field(record, 'expires')
  return expires ~= NEVER and tonumber(expires) <= now
end

local function conversation_of(record)
  return string.sub(record, HEADER_BYTES + 1, HEADER_BYTES + number(record, 'conversation_bytes'))
end

-- The first and the last position of a record's address.
local function address_span(record)
  local first = HEADER_BYTES + 1 + number(record, 'conversation_bytes')
  return first, first + number(record, 'address_bytes') - 1
end

-- Where conversation, address and body of a record end, and its detail begins.
local function content_end(record)
  local _, address_end = address_span(record)
  return address_end + number(record, 'body_bytes')
end

-- The bytes from a field of the header to the end of the body, where the detail begins.
local function until_detail(record, first)
  return string.sub(record, FIRST_BYTE[first], content_end(record))
end

-- The key that a held message waits for.
local function hold_key(record)
  return string.sub(record, content_end(record) + 2)
end

-- The member of a scheduled message: messages due in the same ms are ordered by acceptance.
local function scheduled_member(record, id)
  return field(record, 'sequence') .. id
end

local function scheduled_id(member)
  return string.sub(member, 15)
end

-- due: when it joins its conversation or its hold ends, else 0. expires: when it may no longer be delivered, or 0.
-- content: from the fingerprint on, as the producer has written it.
local function new_record(state, sequence, now, due, expires, content)
  local joined = state == 's' and 0 or now
  return '1' .. state .. '--00000000000000'
    .. string.format('%014d%013d%013d%013d%013d', sequence, now, joined, due, expires)
    .. '00000000000000000000000000' .. content
end

-- Whatever ends a hold removes its id from those waiting for its key: they might never expire, as each new hold of the
-- key renews their expiry.
local function leave_hold(prefix, id, record)
  if state_of(record) == 'h' then
    redis.call('SREM', prefix .. 'hold:' .. hold_key(record), id)
  end
end

-- Turns a held message's record into that of a queued one, which can be pushed from now on; with a new body, if given.
local function released_record(record, now, body)
  local first, last = address_span(record)
  body = body or string.sub(record, last + 1, content_end(record))
  return '1q' .. field(record, 'reason', 'accepted') .. ms(now) .. zeros('due')
    .. field(record, 'expires', 'address_bytes') .. string.format('%06d', #body)
    .. string.sub(record, HEADER_BYTES + 1, last) .. body
end

-- Replaces a record by a final one without address and body, kept for `status` and for idempotency. The push that
-- delivers a message counts as one of its attempts.
local function entomb(channel, key, record, state, now, pushed)
  local attempts = math.min(number(record, 'attempts') + (pushed and 1 or 0), 9999)
  local keep = math.max(channel.retention_ms, number(record, 'accepted') + channel.idempotency_ms - now, 1)
  local ended = ms(now)
  redis.call('SET', key, '1' .. state .. field(record, 'reason', 'flags') .. string.format('%04d', attempts)
    .. field(record, 'losses', 'expires') .. ended .. (pushed and ended or field(record, 'pushed'))
    .. field(record, 'fingerprint', 'conversation_bytes') .. NO_CONTENT .. conversation_of(record), 'PX', keep)
end

-- A dead letter keeps its address and body for a replay, and records why it died.
local function bury(prefix, id, now, reason, detail)
  local key = prefix .. 'message:' .. id
  local record = redis.call('GET', key)
  leave_hold(prefix, id, record)
  redis.call('SET', key, '1x' .. reason .. field(record, 'flags', 'expires') .. ms(now)
    .. until_detail(record, 'pushed') .. string.sub(detail, 1, MAX_DETAIL_BYTES))
  redis.call('ZADD', prefix .. 'dead', now, id)
end
