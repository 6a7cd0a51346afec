-- A lease runs out by and by, unless somebody holds it again. It stays with its node, so that it is found by that, too.
--
-- KEYS  1 leases
-- ARGV  now in ms or '' for this server's clock, the key, the node, in how many ms
-- Returns when it runs out, or nil when the node has no such lease
local lease = redis.call('HGET', KEYS[1], ARGV[2])
if not lease then return false end
local node, till = string.match(lease, '^([^%z]*)%z(.*)$')
if node ~= ARGV[3] then return false end
if till ~= '' then return till end
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
till = string.format('%.0f', now + tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], ARGV[2], node .. '\0' .. till)
return till
