-- Reads keys, entries and family counts of a room as one snapshot.
--
-- KEYS  1 room, 2 log, 3 keys, 4 order, 5 marks, 6 leases
-- ARGV  n, then n keys; n, then n seqs; n, then n parents of families, each with its slash, or ''
-- Returns {epoch or nil, head, at, bytes, {value, mark, lease, ...}, {entry or nil, ...}, {{name, count, ...}, ...}}
local position = 0
local function takeAll()
  position = position + 1
  local first = position + 1
  position = position + tonumber(ARGV[position])
  return first, position
end

-- The families directly below a parent are contiguous in the sorted set: each step jumps to the next family.
local function countBeneath(parent)
  local counts, from = {}, '[' .. parent .. '\1'
  while true do
    local member = redis.call('ZRANGEBYLEX', KEYS[4], from, '+', 'LIMIT', 0, 1)[1]
    if not member or string.sub(member, 1, #parent) ~= parent then return counts end
    local family = string.match(member, '^([^/%z]*)/', #parent + 1)
    if not family then return counts end
    local path = parent .. family .. '/'
    local count = redis.call('ZLEXCOUNT', KEYS[4], '[' .. path .. '\0', '(' .. path .. '\1')
    if count > 0 then
      counts[#counts + 1] = family
      counts[#counts + 1] = count
    end
    from = '[' .. parent .. family .. '0'
  end
end

local state = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'at', 'bytes')
local keys, entries, counts = {}, {}, {}
local first, last = takeAll()
for i = first, last do
  keys[#keys + 1] = redis.call('HGET', KEYS[3], ARGV[i])
  keys[#keys + 1] = redis.call('HGET', KEYS[5], ARGV[i])
  keys[#keys + 1] = redis.call('HGET', KEYS[6], ARGV[i])
end
first, last = takeAll()
for i = first, last do entries[#entries + 1] = redis.call('HGET', KEYS[2], ARGV[i]) end
first, last = takeAll()
for i = first, last do counts[#counts + 1] = countBeneath(ARGV[i]) end
return { state[1], state[2], state[3], state[4], keys, entries, counts }
