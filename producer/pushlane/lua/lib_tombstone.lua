-- Tombstones: what is kept of messages that were delivered, cancelled or purged, for idempotency and `status`. Each is
-- an entry in a hash of the day on which it was made. A day has 16,384 hashes, so that even some millions of messages
-- leave each small enough for Redis to pack it (up to 512 entries of 64 bytes). A hash expires as a whole.
--
-- A tombstone is the state (d delivered, c cancelled, x dead); from the record the sequence, accepted, and half of the
-- fingerprint; how many ms after accepted it was made; for a message with details ',', its reason, flags and attempts,
-- and joined, due, final and pushed, with a ',' before each; a blank and the conversation.
--
-- The first digits of an id say which hash it is. The ids of messages without a key begin alike if they were sent to
-- one conversation within a few seconds, so that a delivered batch usually has one hash (`enqueue_protocol.py`).
local DAY_MS = 86400000
local MAX_AHEAD = 2 -- days
local QUARTERS = { [0] = '0', '1', '2', '3' }

local function day_of(now)
  return math.floor(now / DAY_MS)
end

local today -- the day of the tombstones of this call; nil until it is needed

-- It does not go back when the clock steps back, by up to MAX_AHEAD days: the tombstones before that must be found.
local function find_today(prefix, now)
  if not today then
    local day, last = day_of(now), tonumber(redis.call('HGET', prefix .. 'counters', 'day') or 0)
    today = last > day and last <= day + MAX_AHEAD and last or day
  end
  return today
end

-- The keys of a day's hashes, but for the part that depends on the message.
local function tombstones_of(prefix, day)
  return prefix .. 'tombstones:' .. day .. ':'
end

local function tombstone_part(id)
  return string.sub(id, 1, 3) .. QUARTERS[(string.byte(id, 4) or 0) % 4]
end

-- How long a tombstone counts at the most.
local function longest_kept_ms(channel)
  return math.max(channel.retention_ms, channel.idempotency_ms)
end

local function is_forgotten(tombstone, channel, now)
  local accepted = tonumber(string.sub(tombstone, 16, 28))
  local made = accepted + tonumber(string.match(tombstone, '^-?%d+', 41))
  return now >= made + channel.retention_ms and now >= accepted + channel.idempotency_ms
end

-- The tombstone of a message, if it was made within the last ms; nil if there is none, or its time is over.
local function find_tombstone(prefix, channel, id, now, within_ms)
  for day = find_today(prefix, now), day_of(now - within_ms), -1 do
    local tombstone = redis.call('HGET', tombstones_of(prefix, day) .. tombstone_part(id), id)
    if tombstone and not is_forgotten(tombstone, channel, now) then
      return tombstone
    end
  end
end

-- The half of the fingerprint, the sequence and the state.
local function read_tombstone(tombstone)
  return string.sub(tombstone, 29, 40), tonumber(string.sub(tombstone, 2, 15)), string.sub(tombstone, 1, 1)
end
