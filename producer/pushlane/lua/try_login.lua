#!lua flags=allow-oom
--- Takes a try to log in from the allowance of its address, and of all addresses unless somebody has logged in there.
-- KEYS[1] prefix      of the page
-- ARGV[1] now         ms, or '' for the server's time
-- ARGV[2] address
-- ARGV[3] own_ms      the pace of one address
-- ARGV[4] own_burst   how many tries it may make at once
-- ARGV[5] all_ms      the pace of all addresses together
-- ARGV[6] all_burst
-- Returns 0, or how many ms the next try must wait: then nothing is taken.
--- use channel
local prefix, now, address = KEYS[1], clock(ARGV[1]), ARGV[2]
local own_ms, own_burst, all_ms, all_burst = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

-- A key holds the ms until which its allowance is used; each try adds its pace. After a step of the clock it is full
-- again at the latest when it would have been anyway.
local function used(key, pace, burst)
  return math.min(math.max(now, tonumber(redis.call('GET', key) or '0')), now + pace * burst)
end

local function take(key, pace, until_ms)
  redis.call('SET', key, until_ms + pace, 'PX', until_ms + pace - now)
end

local own_key, all_key = prefix .. 'login:' .. address, prefix .. 'logins'
local is_proven = redis.call('ZSCORE', prefix .. 'proven', address)
local own, all = used(own_key, own_ms, own_burst), used(all_key, all_ms, all_burst)
local wait = own - now - own_ms * (own_burst - 1)
if not is_proven then
  wait = math.max(wait, all - now - all_ms * (all_burst - 1))
end
if wait > 0 then
  return math.ceil(wait)
end
take(own_key, own_ms, own)
if not is_proven then
  take(all_key, all_ms, all)
end
return 0
