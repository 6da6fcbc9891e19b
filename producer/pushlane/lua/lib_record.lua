-- The packed record of a message: a header of fixed width, then conversation, address, body and detail. While it is
-- held the detail is what its hold's timeout does (r releases, d dead-letters) and the hold's key; `due` is when the
-- hold ends. Text, not binary: fakeredis has no `struct`, `redis-cli GET` shows it in readable form, and SETRANGE
-- changes a field in place. `message_record.py` reads the same layout in Python; a test keeps the two in step.
--
--   1  version 1        19-32  sequence        98-110  last push, ms     ms fields: server time, 0 = never
--   2  state            33-45  accepted, ms   111-134  fingerprint
--   3  reason           46-58  joined, ms     135-137  bytes of the conversation id
--   4  flags            59-71  due, ms        138-141  bytes of the address
--   5-8  attempts       72-84  expires, ms    142-147  bytes of the body
--   9-10  losses        85-97  final, ms      148-     conversation, address, body, detail
--   11-18  part label
--
-- state: q queued, s scheduled, h held, d delivered, c cancelled, x dead
-- reason: - none, r rejected, e expired, a exhausted, u unknown, f forbidden
-- flags: m maybe delivered, - none
local HEADER_BYTES = 147
local MAX_CONVERSATION_BYTES = 256
local MAX_DETAIL_BYTES = 2000
local ZERO_MS = '0000000000000'

local function ms(value)
  return string.format('%013d', value)
end

-- due: when it joins its conversation or its hold ends, else 0. expires: when it may no longer be delivered, 0 for never.
local function new_record(state, sequence, now, due, expires, conversation, address, body, fingerprint)
  local joined = state == 's' and 0 or now
  return '1' .. state .. '--00000000000000' .. string.format('%014d', sequence) .. ms(now) .. ms(joined) .. ms(due)
    .. ms(expires) .. ZERO_MS .. ZERO_MS .. fingerprint
    .. string.format('%03d%04d%06d', #conversation, #address, #body) .. conversation .. address .. body
end

-- The member of a scheduled message: messages due in the same ms are ordered by acceptance.
local function scheduled_member(record, id)
  return string.sub(record, 19, 32) .. id
end

local function conversation_of(record)
  return string.sub(record, HEADER_BYTES + 1, HEADER_BYTES + tonumber(string.sub(record, 135, 137)))
end

local function has_expired(record, now)
  local expires = tonumber(string.sub(record, 72, 84))
  return expires > 0 and expires <= now
end

-- The first and the last position of a record's address.
local function address_span(record)
  local first = HEADER_BYTES + 1 + tonumber(string.sub(record, 135, 137))
  return first, first + tonumber(string.sub(record, 138, 141)) - 1
end

-- Where conversation, address and body of a record end.
local function content_end(record)
  local _, address_end = address_span(record)
  return address_end + tonumber(string.sub(record, 142, 147))
end

-- The key that a held message waits for.
local function hold_key(record)
  return string.sub(record, content_end(record) + 2)
end

-- Whatever ends a hold removes its id from those waiting for its key: they might never expire, as each new hold of the
-- key renews their expiry.
local function leave_hold(prefix, id, record)
  if string.sub(record, 1, 2) == '1h' then
    redis.call('SREM', prefix .. 'hold:' .. hold_key(record), id)
  end
end

-- Turns a held message's record into that of a queued one, which can be pushed from now on; with a new body, if given.
local function released_record(record, now, body)
  local first, last = address_span(record)
  body = body or string.sub(record, last + 1, content_end(record))
  return '1q' .. string.sub(record, 3, 45) .. ms(now) .. ZERO_MS .. string.sub(record, 72, 141)
    .. string.format('%06d', #body) .. string.sub(record, HEADER_BYTES + 1, last) .. body
end

-- A final record without address and body, kept for `status` and for idempotency. The push that delivers a message
-- counts as one of its attempts.
local function entomb(channel, key, state, now, pushed)
  local record = redis.call('GETRANGE', key, 0, HEADER_BYTES - 1 + MAX_CONVERSATION_BYTES)
  local attempts = math.min(tonumber(string.sub(record, 5, 8)) + (pushed and 1 or 0), 9999)
  local accepted = tonumber(string.sub(record, 33, 45))
  local keep = math.max(channel.retention_ms, accepted + channel.idempotency_ms - now, 1)
  redis.call('SET', key, '1' .. state .. string.sub(record, 3, 4) .. string.format('%04d', attempts)
    .. string.sub(record, 9, 84) .. ms(now) .. (pushed and ms(now) or string.sub(record, 98, 110)) .. string.sub(record, 111, 137) .. '0000000000'
    .. conversation_of(record), 'PX', keep)
end

-- A dead letter keeps its address and body for a replay, and records why it died.
local function bury(prefix, id, now, reason, detail)
  local key = prefix .. 'message:' .. id
  local record = redis.call('GET', key)
  leave_hold(prefix, id, record)
  redis.call('SET', key, '1x' .. reason .. string.sub(record, 4, 84) .. ms(now)
    .. string.sub(record, 98, content_end(record))
    .. string.sub(detail, 1, MAX_DETAIL_BYTES))
  redis.call('ZADD', prefix .. 'dead', now, id)
end
