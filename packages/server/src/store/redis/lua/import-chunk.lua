-- Imports a chunk of a room from another store unchanged. Idempotent.
--
-- KEYS  1 room, 2 log, 3 listed, 4 keys, 5 order, 6 marks, 7 leases, 8 tickets, 9 endings, 10 idempotency keys,
--       11 held (a prefix)
-- ARGV  the room's name, the node of expired leases; epoch, head, tail as JSON, at, tick, oldest;
--       now in ms or '' for this server's clock;
--       n, then n times seq, listed (0 or 1), entry; n, then n times key, value, mark or '',
--       lease (held, released, expired or '');
--       n, then n times field, ticket, expiry time or ''; n, then n times idempotency key, first seq and count
local position = 0
local function take()
  position = position + 1
  return ARGV[position]
end
local name, node = take(), take()
local epoch, head, tail, at, tick, oldest, now = take(), take(), take(), take(), take(), take(), take()
local DAY = 86400000

local stored = redis.call('HMGET', KEYS[1], 'bytes', 'listedFrom', 'onceAt', 'onceIn')
local bytes, listedFrom = tonumber(stored[1] or 0), tonumber(stored[2] or oldest)
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
end

local function bytesOf(entry)
  return entry and #entry - (string.find(entry, '\n', 1, true) or #entry) or 0
end

for _ = 1, tonumber(take()) do
  local seq, isListed, entry = take(), take(), take()
  bytes = bytes - bytesOf(redis.call('HGET', KEYS[2], seq)) + bytesOf(entry)
  redis.call('HSET', KEYS[2], seq, entry)
  if isListed == '1' then redis.call('SETBIT', KEYS[3], tonumber(seq) - listedFrom, 1) end
end
local importedExpiry = { released = '0', expired = '1' }
for _ = 1, tonumber(take()) do
  local key, value, mark, lease = take(), take(), take(), take()
  local family, last = string.match(key, '^(.*/)([^/]*)$')
  redis.call('HSET', KEYS[4], key, value)
  redis.call('ZADD', KEYS[5], 0, family and family .. '\0' .. last or '\0' .. key)
  if mark ~= '' then redis.call('HSET', KEYS[6], key, mark) end
  if lease ~= '' then
    redis.call('HSET', KEYS[7], key, node .. '\0' .. (importedExpiry[lease] or ''))
    redis.call('SADD', KEYS[11] .. node, name .. '\0' .. key)
  end
end
for _ = 1, tonumber(take()) do
  local field, ticket, expiresAt = take(), take(), take()
  redis.call('HSET', KEYS[8], field, ticket)
  if expiresAt ~= '' then redis.call('ZADD', KEYS[9], expiresAt, field) end
end
for _ = 1, tonumber(take()) do
  local once, place = take(), take()
  redis.call('HSET', KEYS[10], once, place)
  redis.call('PEXPIRE', KEYS[10], 2 * DAY + 3600000)
end
redis.call('HSET', KEYS[1], 'epoch', epoch, 'head', head, 'tail', tail, 'at', at, 'oldest', oldest, 'bytes', string.format('%.0f', bytes),
  'tick', tick, 'listedFrom', string.format('%.0f', listedFrom), 'onceAt', stored[3] or now, 'onceIn', stored[4] or 10)
return 1
