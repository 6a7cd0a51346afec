-- Checks whether a node's heartbeat has expired, or never came.
--
-- KEYS  1 nodes
-- ARGV  now in ms or '' for this server's clock, the node
-- Returns 1 if it is gone, else 0
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local expiresAt = redis.call('ZSCORE', KEYS[1], ARGV[2])
return (not expiresAt or tonumber(expiresAt) <= now) and 1 or 0
