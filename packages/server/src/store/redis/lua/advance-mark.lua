-- Advances the mark of a key.
--
-- KEYS  1 keys, 2 marks
-- ARGV  the key, the seq
-- Returns the resulting mark, or nil without such a key
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return false end
local mark = math.max(tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0), tonumber(ARGV[2]))
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', mark))
return string.format('%.0f', mark)
