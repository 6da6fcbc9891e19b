-- Rests: conversations that must not be pushed before a given time, whatever else happens to them, even if they are
-- empty for now: one that is throttled on its own, or whose last push may still take effect.
local any_rests -- whether any conversation rests; nil until this call has checked

-- Until when the conversation rests; 0 if it does not.
local function rests_until(prefix, conversation)
  if any_rests == nil then
    any_rests = redis.call('EXISTS', prefix .. 'resting') == 1
  end
  return any_rests and tonumber(redis.call('ZSCORE', prefix .. 'resting', conversation) or '') or 0
end

local function rest(prefix, conversation, due)
  any_rests = true
  redis.call('ZADD', prefix .. 'resting', due, conversation)
end
