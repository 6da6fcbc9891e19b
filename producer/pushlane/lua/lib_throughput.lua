-- How many messages were delivered in each minute since 1970: a hash for each hour, by the minute.
local throughput_place, note_delivered
do
  local MINUTE_MS, MINUTES = 60000, 60

  -- The key and the field of a minute.
  function throughput_place(prefix, minute)
    return string.format('%sthroughput:%d', prefix, math.floor(minute / MINUTES)), minute % MINUTES
  end

  function note_delivered(prefix, now, messages)
    local key, field = throughput_place(prefix, math.floor(now / MINUTE_MS))
    if redis.call('HINCRBY', key, field, messages) == messages then
      redis.call('PEXPIRE', key, 2 * MINUTES * MINUTE_MS)
    end
  end
end
