-- Assigns a lease to a node.
--
-- KEYS  1 keys, 2 leases, 3 held (a prefix: the node's name follows)
-- ARGV  the room's name, the key, the seq of the key, the node
-- Returns 1, or 0 if the key has another seq or no lease
local lease, value = redis.call('HGET', KEYS[2], ARGV[2]), redis.call('HGET', KEYS[1], ARGV[2])
if not lease or not value or string.match(value, '^%d+') ~= ARGV[3] then return 0 end
local member = ARGV[1] .. '\0' .. ARGV[2]
redis.call('SREM', KEYS[3] .. string.match(lease, '^[^%z]*'), member)
redis.call('SADD', KEYS[3] .. ARGV[4], member)
redis.call('HSET', KEYS[2], ARGV[2], ARGV[4] .. '\0')
return 1
