-- What the previous release writes. Its records (version 1) are read in the present layout, and laid out anew only when
-- they must change: its workers and callbacks may still need them. A header of 147 bytes: version and state; reason,
-- flags, attempts, losses and part; sequence and accepted; joined, due, expires, final and pushed; fingerprint and the
-- lengths of conversation (3 digits), address (4) and body (6). Then these three, and a detail.
local OLD = '1' -- its version, and the mark of a record that was one

-- Returns the record and the details that say the same.
local function converted(old)
  local address_end = 147 + string.sub(old, 135, 137) + string.sub(old, 138, 141)
  local body_end = address_end + string.sub(old, 142, 147)
  local record = '2' .. string.sub(old, 2, 2) .. OLD .. string.sub(old, 19, 45) .. string.sub(old, 111, 141)
    .. string.sub(old, 148, body_end)
  return record, string.sub(old, 3, 18) .. string.sub(old, 46, 110) .. string.sub(old, body_end + 1)
end

-- Gives a record its present layout for good; whoever does writes its details, too.
local function lay_out(key)
  local record = redis.call('GET', key)
  if string.sub(record, 1, 1) == OLD then
    redis.call('SET', key, (converted(record)))
  end
end

-- What remains of a finished message, in the place where the producers of the previous release look for its key.
local function old_tombstone(state, record, details, conversation)
  return OLD .. state .. string.sub(details, 1, 16) .. string.sub(record, 4, 30) .. string.sub(details, 17, 81)
    .. string.sub(record, 31, 57) .. '0000000000' .. conversation
end
