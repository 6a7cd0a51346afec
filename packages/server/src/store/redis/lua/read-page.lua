-- Reads a page of the log and the head of the room as one snapshot.
--
-- KEYS  1 room, 2 log, 3 listed
-- ARGV  now in ms or '' for this server's clock, the direction (up, down), the seq to begin with, listed (0 or 1),
--       how many at most, how many bytes of bodies
-- Returns {now, epoch or nil, head, tail as JSON, tick, oldest, bytes, more (0 or 1), seq, entry, ...}, in the direction of the
--   query
local now, up, from, onlyListed = ARGV[1], ARGV[2] == 'up', tonumber(ARGV[3]), ARGV[4] == '1'
local limit, limitBytes = tonumber(ARGV[5]), tonumber(ARGV[6])
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
end
local step = up and 1 or -1

local state = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'tail', 'tick', 'oldest', 'bytes', 'listedFrom')
if not state[1] then return { now, false } end
local head, oldest, listedFrom = tonumber(state[2]), tonumber(state[5]), tonumber(state[7])

-- The bitmap is read in chunks of this many bits; empty chunks and empty bytes are skipped.
local CHUNK = 8192
local chunk, chunkAt, chunkIsEmpty

local function isListed(seq)
  local bit = seq - listedFrom
  if bit - bit % CHUNK ~= chunkAt then
    chunkAt = bit - bit % CHUNK
    chunk = redis.call('GETRANGE', KEYS[3], chunkAt / 8, (chunkAt + CHUNK) / 8 - 1)
    chunkIsEmpty = not string.find(chunk, '[^%z]')
  end
  if chunkIsEmpty then return false, CHUNK end
  local byte = string.byte(chunk, math.floor((bit - chunkAt) / 8) + 1) or 0
  if byte == 0 then return false, 8 end
  return math.floor(byte / 2 ^ (7 - bit % 8)) % 2 == 1, 1
end

-- The first seq after the aligned range of `width` bits that contains this one.
local function beyond(seq, width)
  local first = (seq - listedFrom) - (seq - listedFrom) % width
  return listedFrom + (up and first + width or first - 1)
end

local answer, bytes, count = { now, state[1], state[2], state[3], state[4], state[5], state[6], 0 }, 0, 0
local seq = up and math.max(from, oldest) or math.min(from, head)
while seq >= oldest and seq <= head do
  local isMeant, width = true, 1
  if onlyListed then isMeant, width = isListed(seq) end
  -- While the room is imported from another store, entries may be missing.
  local entry = isMeant and redis.call('HGET', KEYS[2], string.format('%.0f', seq))
  if entry then
    bytes = bytes + #entry - (string.find(entry, '\n', 1, true) or #entry)
    if count == limit or (bytes > limitBytes and count > 0) then
      answer[8] = 1
      break
    end
    count = count + 1
    answer[#answer + 1] = string.format('%.0f', seq)
    answer[#answer + 1] = entry
  end
  seq = width == 1 and seq + step or beyond(seq, width)
end
return answer
