-- Takes an expired lease from its node, and hides it for some time.
--
-- KEYS  1 leases, 2 held (a prefix: the node's name follows)
-- ARGV  now in ms or '' for this server's clock, the room's name, the key, '=' and the node that is known to be gone or '',
--       for how many ms
-- Returns until when, or nil if the lease has not expired
local lease = redis.call('HGET', KEYS[1], ARGV[3])
if not lease then return false end
local node, expiresAt = string.match(lease, '^([^%z]*)%z(.*)$')
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
if expiresAt == '' and '=' .. node ~= ARGV[4] then return false end
if expiresAt ~= '' and tonumber(expiresAt) > now then return false end
redis.call('SREM', KEYS[2] .. node, ARGV[2] .. '\0' .. ARGV[3])
expiresAt = string.format('%.0f', now + tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], ARGV[3], '\0' .. expiresAt)
return expiresAt
