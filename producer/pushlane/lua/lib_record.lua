-- A message is a record: a header of fixed width, then conversation, address and body. What only some messages have
-- (they were scheduled, held or retried, may expire, or are dead) is in the hash `details`: fields of fixed width, then
-- a text. The text of a dead letter is why it died; that of a held message is what its timeout does (r releases, d
-- dead-letters) and the hold's key. A field of its own there, id and TRACE, has the context of a message's trace. All of
-- it is text, not binary: fakeredis has no `struct`, and `redis-cli GET` shows it in readable form. `message_record.py`
-- has the same fields in Python; a test compares them. The version is 2.
--
-- state: q queued, s scheduled, h held, x dead
-- mark: - no details and no trace, d perhaps, 1 enqueued by the previous release (its details may be in its record)
-- reason: - none, r rejected, e expired, a exhausted, u unknown, f forbidden
-- flags: m maybe delivered, - none
local HEADER_BYTES = 61
local DETAILS_BYTES = 81
local MAX_CONVERSATION_BYTES = 256
local MAX_TEXT_BYTES = 2000
local TRACE = ':trace'
local PLAIN = '2q-' -- how the record of a queued message without details begins

-- The first and the last byte of each field, of the header and behind the blank line of the details. Numbers have
-- leading zeros; `accepted` and the times from `joined` on are the server's in ms, 0 for never. `due` is when it joins
-- its conversation or its hold ends, `expires` when it may no longer be delivered.
local FIRST_BYTE = {
  version = 1, state = 2, mark = 3, sequence = 4, accepted = 18, fingerprint = 31, conversation_bytes = 55,
  address_bytes = 58,

  reason = 1, flags = 2, attempts = 3, losses = 7, part = 9, joined = 17, due = 30, expires = 43, final = 56,
  pushed = 69,
}
local LAST_BYTE = {
  version = 1, state = 2, mark = 3, sequence = 17, accepted = 30, fingerprint = 54, conversation_bytes = 57,
  address_bytes = 61,

  reason = 1, flags = 2, attempts = 6, losses = 8, part = 16, joined = 29, due = 42, expires = 55, final = 68,
  pushed = 81,
}

local function ms(value)
  return string.format('%013d', value)
end

-- The bytes of a field, or of all fields from the first to the last.
local function field(text, first, last)
  return string.sub(text, FIRST_BYTE[first], LAST_BYTE[last or first])
end

local function number(text, name)
  return tonumber(string.sub(text, FIRST_BYTE[name], LAST_BYTE[name]))
end

-- Zeros for a field, or for all fields from the first to the last.
local function zeros(first, last)
  return string.rep('0', LAST_BYTE[last or first] - FIRST_BYTE[first] + 1)
end

-- The details with this value in a field, or in all fields from this one on that the value fills.
local function with(details, name, value)
  return string.sub(details, 1, FIRST_BYTE[name] - 1) .. value .. string.sub(details, FIRST_BYTE[name] + #value)
end

-- The fingerprint in what a producer has written of a record.
local function fingerprint_of(content)
  return string.sub(content, 1, LAST_BYTE.fingerprint - FIRST_BYTE.fingerprint + 1)
end

-- content: from the fingerprint on, as the producer has written it.
local function new_record(state, mark, sequence, accepted, content)
  return '2' .. state .. mark .. string.format('%014d%013d', sequence, accepted) .. content
end

local function new_details(joined, due, expires, text)
  return '--' .. zeros('attempts', 'part') .. string.format('%013d%013d%013d', joined, due, expires)
    .. zeros('final', 'pushed') .. text
end

-- A record's header, and enough behind it for `conversation_of`; '' for a message that is gone.
local function read_header(prefix, id)
  local key = prefix .. 'message:' .. id
  local record = redis.call('GETRANGE', key, 0, HEADER_BYTES + MAX_CONVERSATION_BYTES - 1)
  if string.sub(record, 1, 1) == OLD then
    return (converted(redis.call('GET', key)))
  end
  return record
end

local function message_keys(prefix, ids)
  local keys = {}
  for i, id in ipairs(ids) do
    keys[i] = prefix .. 'message:' .. id
  end
  return keys
end

-- The whole records of these keys, at least one; '' for one that is gone.
local function read_records(keys)
  local records = redis.call('MGET', unpack(keys))
  for i, record in ipairs(records) do
    if not record then
      records[i] = ''
    elseif string.sub(record, 1, 1) == OLD then
      records[i] = converted(record)
    end
  end
  return records
end

-- The state's letter; nil if there is no record, or an unreadable one.
local function state_of(record)
  if string.sub(record, 1, 1) == '2' then
    return string.sub(record, 2, 2)
  end
end

-- Whether a newer version wrote the record, in a layout that this one does not know.
local function is_unreadable(record)
  return record ~= '' and not state_of(record)
end

local function has_details(record)
  return string.sub(record, 3, 3) ~= '-'
end

-- If the record says that there are none, those of a new message.
local function details_of(prefix, id, record)
  local details = has_details(record) and redis.call('HGET', prefix .. 'details', id)
  if not details and field(record, 'mark') == OLD then
    local _, old = converted(redis.call('GET', prefix .. 'message:' .. id))
    return old
  end
  return details or new_details(number(record, 'accepted'), 0, 0, '')
end

-- What a worker gets of a queued message: its details, which have no text then, and its trace context. '' for a message
-- that has neither.
local function claimed_details(prefix, id, record)
  if not has_details(record) then
    return ''
  end
  return details_of(prefix, id, record) .. (redis.call('HGET', prefix .. 'details', id .. TRACE) or '')
end

-- The same of several messages; '' if none has any.
local function listed_details(prefix, ids, records)
  local all, found = {}, false
  for i, id in ipairs(ids) do
    all[i] = state_of(records[i]) and claimed_details(prefix, id, records[i]) or ''
    found = found or all[i] ~= ''
  end
  return found and all or ''
end

-- Gives a message another state or other details.
local function update(prefix, id, record, state, details)
  local key, mark = prefix .. 'message:' .. id, field(record, 'mark')
  if mark == OLD then
    lay_out(key)
  end
  redis.call('SETRANGE', key, FIRST_BYTE.state - 1, state .. (mark == '-' and 'd' or mark))
  redis.call('HSET', prefix .. 'details', id, details)
end

local function has_expired(details, now)
  local expires = number(details, 'expires')
  return expires > 0 and expires <= now
end

-- Where the conversation of a record ends, and where its address.
local function content_ends(record)
  local conversation_end = HEADER_BYTES + number(record, 'conversation_bytes')
  return conversation_end, conversation_end + number(record, 'address_bytes')
end

local function conversation_of(record)
  return string.sub(record, HEADER_BYTES + 1, (content_ends(record)))
end

-- The key that a held message waits for.
local function hold_key(details)
  return string.sub(details, DETAILS_BYTES + 2)
end

-- The member of a scheduled message: messages due in the same ms are ordered by acceptance.
local function scheduled_member(record, id)
  return field(record, 'sequence') .. id
end

local function scheduled_id(member)
  return string.sub(member, 15)
end

-- Whatever ends a hold removes its id from those waiting for its key: they might never expire, as each new hold of the
-- key renews their expiry.
local function leave_hold(prefix, id, record, details)
  if state_of(record) == 'h' then
    redis.call('SREM', prefix .. 'hold:' .. hold_key(details), id)
  end
end

-- A dead letter keeps its address and body for a replay, and says why it died.
local function bury(prefix, id, record, now, reason, why)
  local details = details_of(prefix, id, record)
  leave_hold(prefix, id, record, details)
  update(prefix, id, record, 'x', reason .. field(details, 'flags', 'expires') .. ms(now) .. field(details, 'pushed')
    .. string.sub(why, 1, MAX_TEXT_BYTES))
  redis.call('ZADD', prefix .. 'dead', now, id)
end
