-- Rests: conversations that must not be pushed before a time, whatever else happens to them, even if nothing is left of
-- them for now: one that is throttled alone, or whose last push may still take effect.
local any_rests -- whether any conversation does, once this call has asked

-- Until when; 0 for now.
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
