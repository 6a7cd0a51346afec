-- Releases a lease: it expires after a delay, unless it is acquired again. It stays with its node, so that it is found by that,
--   too.
--
-- KEYS  1 leases
-- ARGV  now in ms or '' for this server's clock, the key, the node, in how many ms
-- Returns the expiry time, or nil if the node does not have the lease
local lease = redis.call('HGET', KEYS[1], ARGV[2])
if not lease then return false end
local node, expiresAt = string.match(lease, '^([^%z]*)%z(.*)$')
if node ~= ARGV[3] then return false end
if expiresAt ~= '' then return expiresAt end
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
expiresAt = string.format('%.0f', now + tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], ARGV[2], node .. '\0' .. expiresAt)
return expiresAt
