-- Replaces the epoch of a forked log, unless that was done already.
--
-- KEYS  1 room
-- ARGV  the epoch that was found to be forked, the new one
-- Returns the present epoch, or nil without a room
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch ~= ARGV[1] then return epoch end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
return ARGV[2]
