-- Records a node's heartbeat: it is alive for some more time.
--
-- KEYS  1 nodes
-- ARGV  now in ms or '' for this server's clock, the node, for how many ms
-- Returns 0 if the node was known, 1 if it was not
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
return redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[2])
