-- Finds nodes and released leases that may have expired: hints, to be verified in the rooms.
--
-- KEYS  1 nodes, 2 due
-- ARGV  now in ms or '' for this server's clock, how many released leases at most, how many nodes
-- Returns {now, {gone nodes}, {released leases, room U+0000 key}}
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
now = string.format('%.0f', now)
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
return { now, gone, redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[2]) }
