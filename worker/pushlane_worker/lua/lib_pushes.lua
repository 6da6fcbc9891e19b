-- The list `pushes:<conversation>`: its last pushes, except those that delivered what had not been pushed before, which
-- cost nothing here. An entry is `<ended> <took> <flags> <ids> <detail>`: the ms at which the push ended and those that
-- it took; its outcome, whether its lease was lost and whether it was an attempt (0 or 1), in one word; the last bytes
-- of each message id, in order, with commas between; the first bytes of its detail. `push_record.py` reads it.
local list_push
do
  local MAX_PUSHES = 20
  local ID_BYTES = 8 -- of 32: among 200 ids, another one ends alike in one of 20 million cases
  local MAX_WHY_BYTES = 61 -- 60 are shown; the last one says that there was more

  function list_push(prefix, channel, ids, now, settled, attempt)
    local key, ends = prefix .. 'pushes:' .. settled.conversation, {}
    for i, id in ipairs(ids) do
      ends[i] = string.sub(id, -ID_BYTES)
    end
    local entry = string.format('%d %d %d%d%d %s %s', now, settled.took, settled.outcome, settled.lost and 1 or 0,
      attempt and 1 or 0, table.concat(ends, ','), string.sub(settled.detail, 1, MAX_WHY_BYTES))
    if redis.call('RPUSH', key, entry) > MAX_PUSHES then
      redis.call('LTRIM', key, -MAX_PUSHES, -1)
    end
    redis.call('PEXPIRE', key, channel.retention_ms)
  end
end
