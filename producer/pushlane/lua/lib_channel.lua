-- The clock and the channel's own record, which every script reads and only `register` writes.

-- The server's time in ms; tests pass their own.
local function clock(override)
  if override ~= '' then
    return tonumber(override)
  end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local CHANNEL_VERSION = 2 -- of the record; the previous release writes none, and otherwise the same

local CHANNEL_NUMBERS = {
  'batch_limit', 'rate_limit', 'rate_window_ms', 'max_queued', 'retention_ms', 'idempotency_ms', 'breaker_after',
  'breaker_cap_ms', 'retry_after_cap_ms', 'backoff_cap_ms', 'lease_rest_ms',
}

-- Returns nil if the channel is not registered, or only by a release that did not write some field yet. Fails if a
-- newer release has registered it, which may mean something else by the same fields.
local function load_channel(prefix)
  local values = redis.call('HMGET', prefix .. 'channel', 'version', 'kind', unpack(CHANNEL_NUMBERS))
  local channel = { version = tonumber(values[1] or 1), kind = values[2] }
  if channel.version > CHANNEL_VERSION then
    error({ err = 'NEWERCHANNEL ' .. values[1] })
  end
  if not channel.kind then
    return nil
  end
  for i, name in ipairs(CHANNEL_NUMBERS) do
    channel[name] = tonumber(values[i + 2] or '')
    if not channel[name] then
      return nil
    end
  end
  return channel
end

-- Counters of one call, written once at its end.
local counted = {}

local function count(name, by)
  counted[name] = (counted[name] or 0) + by
end

local function write_counters(prefix)
  for name, by in pairs(counted) do
    if by ~= 0 then
      redis.call('HINCRBY', prefix .. 'counters', name, by)
    end
  end
end
