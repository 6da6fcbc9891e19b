-- The end of a message: its record, details and trace context are deleted, and a tombstone is made.

local finish
do
  -- The generation of the tombstones that are made now. A clock that steps back begins none, unless it steps back by
  -- more than a generation lasts.
  local function present_generation(prefix, channel, now)
    local last, lasts_ms = load_generations(prefix)[1], longest_kept_ms(channel)
    if math.abs(now - last) >= lasts_ms then
      generations = { now, last }
      redis.call('HSET', prefix .. 'counters', 'generation', now, 'generation_before', last)
    end
    return generations[1]
  end

  -- The details of a message at its end. The push that delivers it counts as one of its attempts.
  local function final_details(details, state, now)
    local attempts, ended, pushed = number(details, 'attempts'), ms(now), field(details, 'pushed')
    if state == 'd' then
      attempts, pushed = math.min(attempts + 1, 9999), ended
    elseif state == 'x' then
      ended = field(details, 'final')
    end
    return field(details, 'reason', 'flags') .. string.format('%04d', attempts) .. field(details, 'losses', 'expires')
      .. ended .. pushed
  end

  local function unless_usual(value, usual)
    return value == usual and ',' or string.format(',%d', value)
  end

  -- An attempt and an unknown outcome leave the time of the push; one that split its batch leaves a part label.
  local function was_pushed(details)
    return number(details, 'pushed') > 0 or field(details, 'part') ~= zeros('part')
  end

  -- Returns the part of a tombstone that only a message with details has, and whether the message had been pushed
  -- before. One that the previous release enqueued leaves a tombstone of that release, and nil is returned instead.
  local function end_details(prefix, channel, id, record, state, now)
    local details, accepted = details_of(prefix, id, record), number(record, 'accepted')
    leave_hold(prefix, id, record, details)
    redis.call('HDEL', prefix .. 'details', id, id .. TRACE)
    local pushed = was_pushed(details)
    details = final_details(details, state, now)
    if field(record, 'mark') == OLD then
      local keep = math.max(channel.retention_ms, accepted + channel.idempotency_ms - now, 1)
      local tombstone = old_tombstone(state, record, details, conversation_of(record))
      redis.call('SET', prefix .. 'message:' .. id, tombstone, 'PX', keep)
      return nil, pushed
    end
    return ',' .. field(details, 'reason', 'attempts') .. unless_usual(number(details, 'joined'), accepted)
      .. unless_usual(number(details, 'due'), 0) .. unless_usual(number(details, 'final'), now)
      .. unless_usual(number(details, 'pushed'), state == 'd' and now or 0), pushed
  end

  -- Ends messages of one conversation. keys: those of their records. Returns whether any had been pushed before.
  function finish(prefix, channel, ids, keys, records, state, now)
    local hashes = tombstones_of(prefix, present_generation(prefix, channel, now))
    local conversation, gone, made = ' ' .. conversation_of(records[1]), {}, {}
    local any_pushed = false
    for i, id in ipairs(ids) do
      local record, more, pushed = records[i], '', false
      if has_details(record) then
        more, pushed = end_details(prefix, channel, id, record, state, now)
        any_pushed = any_pushed or pushed
      end
      if more then
        gone[#gone + 1] = keys[i]
        local hash = hashes .. digits_of(id)
        local tombstones = made[hash] or {} -- ids and tombstones alternately
        made[hash] = tombstones
        tombstones[#tombstones + 1] = id
        tombstones[#tombstones + 1] = state .. string.sub(record, 4, 38)
          .. string.format('%d', now - number(record, 'accepted')) .. more .. conversation
      end
    end
    for hash, tombstones in pairs(made) do
      redis.call('HSET', hash, unpack(tombstones))
      redis.call('PEXPIRE', hash, longest_kept_ms(channel))
    end
    if #gone > 0 then
      redis.call('UNLINK', unpack(gone))
    end
    return any_pushed
  end
end
