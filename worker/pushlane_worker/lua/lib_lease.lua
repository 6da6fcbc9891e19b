-- A lease: the conversation's deadline in the zset `leases`, and in the hash `claims` its token, the gate's epoch at
-- the claim, the ms at which the conversation was due (0 if it was ready), and the ids of its batch.

local function write_claim(token, epoch, due, ids)
  return string.format('%s %d %d ', token, epoch, due) .. table.concat(ids, ',')
end

local function read_claim(claim)
  local token, epoch, due, listed = string.match(claim, '^(%S+) (%d+) (%d+) (.*)$')
  local ids = {}
  for id in string.gmatch(listed, '[^,]+') do
    ids[#ids + 1] = id
  end
  return { token = token, epoch = tonumber(epoch), due = tonumber(due), ids = ids }
end
