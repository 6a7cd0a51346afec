-- Removes the oldest entries of a log, with the keys below them, in portions so that other clients do not wait long.
--
-- KEYS  1 room, 2 log, 3 listed, 4 keys, 5 order, 6 marks, 7 leases, 8 held (a prefix: the node's name follows)
-- ARGV  the room's name, the epoch, the first seq that stays, how many entries and keys at most
-- Returns 1 if more are to be removed, else 0
local state = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'oldest', 'bytes', 'listedFrom')
if state[1] ~= ARGV[2] then return 0 end
local oldest, bytes, listedFrom = tonumber(state[3]), tonumber(state[4]), tonumber(state[5])
local goal = math.min(tonumber(ARGV[3]), tonumber(state[2]) + 1)
local left = tonumber(ARGV[4])
if goal <= oldest then return 0 end

local function removeKey(member)
  local family, last = string.match(member, '^([^%z]*)%z(.*)$')
  local key = family .. last
  redis.call('HDEL', KEYS[4], key)
  redis.call('ZREM', KEYS[5], member)
  redis.call('HDEL', KEYS[6], key)
  local lease = redis.call('HGET', KEYS[7], key)
  if not lease then return end
  redis.call('HDEL', KEYS[7], key)
  redis.call('SREM', KEYS[8] .. string.match(lease, '^[^%z]*'), ARGV[1] .. '\0' .. key)
end

-- In reverse order, so that the state of a chat is removed last of its keys. '0' is the character after '/'.
local function removeBeneath(seq)
  local members = redis.call('ZREVRANGEBYLEX', KEYS[5], '(entry/' .. seq .. '0', '[entry/' .. seq .. '/', 'LIMIT', 0, left)
  for _, member in ipairs(members) do removeKey(member) end
  left = left - #members
end

while oldest < goal and left > 0 do
  local seq = string.format('%.0f', oldest)
  removeBeneath(seq)
  if left <= 0 then break end
  local entry = redis.call('HGET', KEYS[2], seq)
  if entry then bytes = bytes - (#entry - (string.find(entry, '\n', 1, true) or #entry)) end
  redis.call('HDEL', KEYS[2], seq)
  oldest = oldest + 1
  left = left - 1
end

-- Drops the beginning of the bitmap, in whole bytes, once that saves enough.
local spare = math.floor((oldest - listedFrom) / 8)
if spare >= 4096 then
  local rest = redis.call('GETRANGE', KEYS[3], spare, -1)
  if rest == '' then redis.call('DEL', KEYS[3]) else redis.call('SET', KEYS[3], rest) end
  listedFrom = listedFrom + spare * 8
end
redis.call('HSET', KEYS[1], 'oldest', string.format('%.0f', oldest), 'bytes', string.format('%.0f', bytes),
  'listedFrom', string.format('%.0f', listedFrom))
return oldest < goal and 1 or 0
