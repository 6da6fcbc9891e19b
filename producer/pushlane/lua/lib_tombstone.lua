-- Tombstones: what is kept of messages that were delivered, cancelled or purged, for idempotency and `status`. Each is
-- an entry in one of the 65,536 hashes of a generation. A new generation begins when the present one is as old as a
-- tombstone can count; so one that still counts is in the last two. A hash expires as a whole. Redis packs it as long
-- as it has at most 512 entries of at most 64 bytes.
--
-- A tombstone is the state (d delivered, c cancelled, x dead); from the record the sequence, accepted, and a third of
-- the fingerprint; how many ms after accepted it was made; for a message with details ',', its reason, flags and
-- attempts, and with a ',' before each joined, due, final and pushed, empty for what is usual; a blank and the
-- conversation.
--
-- The first digits of an id say which hash it is. The ids of messages without a key begin alike if they were sent to
-- one conversation within a few seconds, so that a delivered batch often has one hash (`enqueue_protocol.py`).
local generations -- when the present one and the one before began, in ms; nil until this call needs them

local function load_generations(prefix)
  if not generations then
    local values = redis.call('HMGET', prefix .. 'counters', 'generation', 'generation_before')
    generations = { tonumber(values[1] or 0), tonumber(values[2] or 0) }
  end
  return generations
end

-- How long a tombstone counts at the most.
local function longest_kept_ms(channel)
  return math.max(channel.retention_ms, channel.idempotency_ms)
end

-- The keys of a generation's hashes, but for the digits of the id.
local function tombstones_of(prefix, generation)
  return string.format('%stombstones:%d:', prefix, generation)
end

local function digits_of(id)
  return string.sub(id, 1, 4)
end

local function counts(tombstone, channel, now)
  local accepted = tonumber(string.sub(tombstone, 16, 28))
  local made = accepted + string.match(tombstone, '^-?%d+', 37)
  return now < made + channel.retention_ms or now < accepted + channel.idempotency_ms
end

-- The tombstone of a message; nil if there is none, or it counts no longer.
local function find_tombstone(prefix, channel, id, now)
  for _, generation in ipairs(load_generations(prefix)) do
    local tombstone = redis.call('HGET', tombstones_of(prefix, generation) .. digits_of(id), id)
    if tombstone and counts(tombstone, channel, now) then
      return tombstone
    end
  end
end

-- A third of the fingerprint, the sequence and the state.
local function read_tombstone(tombstone)
  return string.sub(tombstone, 29, 36), tonumber(string.sub(tombstone, 2, 15)), string.sub(tombstone, 1, 1)
end
