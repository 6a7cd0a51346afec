-- Removes hints from a sorted set unless they were renewed: only those with a score up to the given time.
--
-- KEYS  1 the set; and keys to delete with them
-- ARGV  the time, members
local gone = 0
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= tonumber(ARGV[1]) then gone = gone + redis.call('ZREM', KEYS[1], ARGV[i]) end
end
if gone > 0 and #KEYS > 1 then redis.call('UNLINK', unpack(KEYS, 2)) end
return gone
