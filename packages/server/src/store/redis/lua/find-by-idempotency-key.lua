-- Finds an earlier append by its idempotency key.
--
-- KEYS  1 room, 2 log, 3 and 4 idempotency keys
-- ARGV  the idempotency key
-- Returns {epoch, first seq, entries...}, or nil
local stored = redis.call('HGET', KEYS[3], ARGV[1]) or redis.call('HGET', KEYS[4], ARGV[1])
if not stored then return false end
local state = redis.call('HMGET', KEYS[1], 'epoch', 'oldest')
local first, count = string.match(stored, '(%d+):(%d+)')
if tonumber(first) < tonumber(state[2]) then return false end
local answer = { state[1], first }
for seq = tonumber(first), tonumber(first) + tonumber(count) - 1 do
  answer[#answer + 1] = redis.call('HGET', KEYS[2], string.format('%.0f', seq))
end
return answer
