#!lua flags=no-writes
--- Reads messages that are queued or dead.
-- KEYS[1] prefix   the channel's key prefix
-- ARGV[1] whole    1 for their records with address and body, else 0
-- ARGV[2…] ids     at most 1,000
-- Returns {record, details, …}, two values per id: '' for one that is gone; no details if the record is unreadable.
--- use old_record record
local prefix, whole = KEYS[1], ARGV[1] == '1'
local FIRST = 2

local found = {}
for i = FIRST, #ARGV do
  local id = ARGV[i]
  local record = whole and read_records(message_keys(prefix, { id }))[1] or read_header(prefix, id)
  found[#found + 1] = record
  found[#found + 1] = state_of(record) and details_of(prefix, id, record) or ''
end
return found
