-- Applies a batch of appends to one room; each append is atomic.
--
-- KEYS  1 room, 2 log, 3 listed, 4 keys, 5 order, 6 marks, 7 leases, 8 tickets, 9 endings, 10 and 11 idempotency keys,
--       12 held, 13 news (see key-names.ts). `held` is a prefix: the node's name follows.
-- ARGV  now in ms or '' for this server's clock; the least HLC value; how to publish ('', PUBLISH, SPUBLISH);
--       the publisher, as JSON; the room's name; then for each append:
--         how many arguments it has; epoch or ''; '=' and the idempotency key or '';
--         '=' and the key whose lease must be expired or '', and with that: '=' and the node that is known to be gone or '';
--         without an epoch: the epoch of the new room; the expected head or ''; bytesBelow or '';
--         n, then n times expected key and seq; n, then n times expected seq and id as JSON;
--         n, then n drafts: id as JSON; `by,author,kind,flags` as JSON without brackets; body as JSON; its letters of
--         q (quiet), l (listed), e (ends the room); its letters of s, x, k, t, whose arguments follow in this order:
--           s  n, then n times key and value as JSON or ''
--           x  n, then n seqs to erase
--           k  key, node (lease)
--           t  n, then n times holder, key, value as JSON or '', ttl in ms or '' (tickets)
-- Returns for each append 0 (stale), or {1 (appended), epoch, first seq, at, first HLC value, prev as JSON}, or
--       {2 (repeated), epoch, first seq, entries...}; and last the fields of removed tickets.
local room, log, listed, keys, order, marks, leases = unpack(KEYS, 1, 7)
local tickets, endings, held, news = KEYS[8], KEYS[9], KEYS[12], KEYS[13]
local call, find, format = redis.call, string.find, string.format
local DAY = 86400000
-- `unpack` is limited: commands have at most this many items.
local CHUNK = 1000

local position = 0
local function take()
  position = position + 1
  return ARGV[position]
end
local function formatInteger(number) return format('%.0f', number) end
-- '=x' is x, '' is nil: this distinguishes an empty name from no name.
local function decodeName(text) if text ~= '' then return string.sub(text, 2) end end

local now, microseconds = tonumber(take()), 0
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  microseconds = tonumber(time[2]) % 1000
end
local nowText = formatInteger(now)
local minTick, publish, publisher, name = tonumber(take()), take(), take(), take()

local state
do
  local stored = call('HMGET', room, 'epoch', 'head', 'tail', 'at', 'tick', 'oldest', 'bytes', 'listedFrom', 'onceAt', 'onceIn')
  if stored[1] then
    state = {
      epoch = stored[1], head = tonumber(stored[2]), tail = stored[3], at = tonumber(stored[4]), tick = tonumber(stored[5]),
      oldest = tonumber(stored[6]), bytes = tonumber(stored[7]), listedFrom = tonumber(stored[8]),
      onceAt = tonumber(stored[9]), onceIn = tonumber(stored[10]),
    }
  end
end

-- Writes that repeat for each entry are collected, and flushed in one command for all appends: the overhead of a command exceeds
-- its work. Until then these tables have the new entries by seq, the new idempotency keys, and (in `knownSeqs`) the seqs of keys.
local entries, newSeqs, newBits, keyPlaces, newKeys, knownSeqs = {}, {}, {}, {}, {}, {}
local hasPreviousHash

local function discardPending()
  entries, newSeqs, newBits, keyPlaces, newKeys, knownSeqs, hasPreviousHash = {}, {}, {}, {}, {}, {}, nil
end

local function entryOf(seq) return entries[seq] or call('HGET', log, seq) end

local function seqOf(key)
  local seq = knownSeqs[key]
  if not seq then
    local value = call('HGET', keys, key)
    seq = value and string.match(value, '^%d+') or '0'
    knownSeqs[key] = seq
  end
  return seq
end

local function placeOfKey(idempotencyKey)
  local stored = keyPlaces[idempotencyKey] or call('HGET', KEYS[state.onceIn], idempotencyKey)
  if stored then return stored end
  if hasPreviousHash == nil then hasPreviousHash = call('EXISTS', KEYS[21 - state.onceIn]) == 1 end
  return hasPreviousHash and call('HGET', KEYS[21 - state.onceIn], idempotencyKey)
end

local function findRepeated(idempotencyKey)
  if not state then return end
  local stored = placeOfKey(idempotencyKey)
  if not stored then return end
  local first, count = string.match(stored, '(%d+):(%d+)')
  if tonumber(first) < state.oldest then return end
  local answer = { 2, state.epoch, first }
  for seq = tonumber(first), tonumber(first) + tonumber(count) - 1 do answer[#answer + 1] = entryOf(formatInteger(seq)) end
  return answer
end

local function isLeaseExpired(key, goneNode)
  local lease = call('HGET', leases, key)
  if not lease then return false end
  local node, expiresAt = string.match(lease, '^([^%z]*)%z(.*)$')
  if expiresAt == '' then return node == goneNode end
  -- A lease that was taken from its node has no node. Imported leases have none either, and are expired.
  return node == '' or tonumber(expiresAt) <= now
end

-- Takes the arguments with the conditions of the append; returns early if it is stale.
local function isStale(epoch, requiredExpired, goneNode)
  if (state and state.epoch or '') ~= epoch then return true end
  local head, bytesBelow = take(), tonumber(take())
  if head ~= '' and not (state and formatInteger(state.head) == head) then return true end
  if bytesBelow and (state and state.bytes or 0) >= bytesBelow then return true end
  for _ = 1, tonumber(take()) do
    local key, seq = take(), take()
    if seqOf(key) ~= seq then return true end
  end
  for _ = 1, tonumber(take()) do
    local entry, id = entryOf(take()), '[' .. take() .. ','
    if not entry or string.sub(entry, 1, #id) ~= id then return true end
  end
  return requiredExpired ~= nil and not isLeaseExpired(requiredExpired, goneNode)
end

local function remember(idempotencyKey, first, count)
  if now - state.onceAt >= DAY then
    state.onceIn = 21 - state.onceIn
    state.onceAt = now
    state.isChanged = true
    hasPreviousHash = nil
    call('UNLINK', KEYS[state.onceIn])
  end
  keyPlaces[idempotencyKey] = first .. ':' .. count
  newKeys[#newKeys + 1] = idempotencyKey
end

local function endLease(key)
  local lease = call('HGET', leases, key)
  if not lease then return end
  call('HDEL', leases, key)
  call('SREM', held .. string.match(lease, '^[^%z]*'), name .. '\0' .. key)
end

local function sortedMemberOf(key)
  local family, last = string.match(key, '^(.*/)([^/]*)$')
  return family and family .. '\0' .. last or '\0' .. key
end

local function setKey(key, value, seq)
  knownSeqs[key] = value ~= '' and seq or '0'
  if value ~= '' then
    if call('HSET', keys, key, seq .. ' ' .. value) == 1 then call('ZADD', order, 0, sortedMemberOf(key)) end
  elseif call('HDEL', keys, key) == 1 then
    call('ZREM', order, sortedMemberOf(key))
    call('HDEL', marks, key)
    endLease(key)
  end
end

local function erase(seq)
  local entry = entryOf(seq)
  local line = entry and find(entry, '\n', 1, true)
  if not line then return end
  local rest = string.sub(entry, 1, line - 1)
  if entries[seq] then entries[seq] = rest else call('HSET', log, seq, rest) end
  state.bytes = state.bytes - (#entry - line)
end

local removedTickets = {}

local function setTicket(seq)
  local holder, key, value, ttl = take(), take(), take(), take()
  local field = holder .. '\0' .. key
  call('ZREM', endings, field)
  if value == '' then
    if call('HDEL', tickets, field) == 1 then removedTickets[#removedTickets + 1] = field end
    return
  end
  local expiresAt = ''
  if ttl ~= '' then
    expiresAt = formatInteger(now + tonumber(ttl))
    call('ZADD', endings, expiresAt, field)
  end
  call('HSET', tickets, field, expiresAt .. ' [' .. seq .. ',"' .. state.epoch .. '",' .. value .. ']')
end

local function removeExpiredTickets()
  local ended = call('ZRANGEBYSCORE', endings, '-inf', nowText, 'LIMIT', 0, 20)
  for _, field in ipairs(ended) do
    call('ZREM', endings, field)
    call('HDEL', tickets, field)
    removedTickets[#removedTickets + 1] = field
  end
end

local function lease(key, node)
  endLease(key)
  call('HSET', leases, key, node .. '\0')
  call('SADD', held .. node, name .. '\0' .. key)
end

local function applyEffects(parts, seq)
  if find(parts, 's', 1, true) then
    for _ = 1, tonumber(take()) do setKey(take(), take(), seq) end
  end
  local erased = find(parts, 'x', 1, true) and tonumber(take()) or 0
  local firstErased = position + 1
  position = position + erased
  if find(parts, 'k', 1, true) then lease(take(), take()) end
  if find(parts, 't', 1, true) then
    for _ = 1, tonumber(take()) do setTicket(seq) end
  end
  for i = firstErased, firstErased + erased - 1 do erase(ARGV[i]) end
end

local notices = {}

-- Takes one draft. Returns whether the room ends with it.
local function appendDraft(separator)
  local id, rest, body, letters, parts = take(), take(), take(), take(), take()
  state.head = state.head + 1
  state.at = math.max(now, state.at)
  state.tick = math.max(now * 1000 + microseconds, state.tick + 1, minTick + 1)
  minTick = state.tick
  state.bytes = state.bytes + #body
  local seq, at = formatInteger(state.head), state.at == now and nowText or formatInteger(state.at)
  local head = '[' .. id .. ',' .. state.tail .. ',' .. at .. ',' .. formatInteger(state.tick) .. ',' .. rest .. ']'
  entries[seq] = head .. '\n' .. body
  newSeqs[#newSeqs + 1] = seq
  notices[#notices + 1] = separator .. '[' .. head .. ',' .. body .. ']'
  if find(letters, 'l', 1, true) then newBits[#newBits + 1] = state.head - state.listedFrom end
  if not find(letters, 'q', 1, true) then state.tail = id end
  if parts ~= '' then applyEffects(parts, seq) end
  return find(letters, 'e', 1, true) ~= nil
end

local function flush(command, key, pairsOf, items)
  local result = 0
  for first = 1, #items, CHUNK do
    local args = {}
    for i = first, math.min(first + CHUNK - 1, #items) do pairsOf(args, items[i]) end
    local reply = call(command, key, unpack(args))
    if command == 'HSET' then result = result + reply end
  end
  return result
end

local function flushAll()
  flush('HSET', log, function(args, seq) args[#args + 1], args[#args + 2] = seq, entries[seq] end, newSeqs)
  flush('BITFIELD', listed, function(args, bit)
    local n = #args
    args[n + 1], args[n + 2], args[n + 3], args[n + 4] = 'SET', 'u1', bit, 1
  end, newBits)
  if #newKeys == 0 then return end
  local added = flush('HSET', KEYS[state.onceIn], function(args, key) args[#args + 1], args[#args + 2] = key, keyPlaces[key] end, newKeys)
  if added > 0 and call('HLEN', KEYS[state.onceIn]) == added then call('PEXPIRE', KEYS[state.onceIn], 2 * DAY + 3600000) end
end

local function endRoom()
  discardPending()
  for _, key in ipairs(call('HKEYS', leases)) do endLease(key) end
  for _, field in ipairs(call('HKEYS', tickets)) do removedTickets[#removedTickets + 1] = field end
  call('UNLINK', unpack(KEYS, 1, 11))
  state = nil
end

local function apply()
  local size = tonumber(take())
  local last = position + size
  local epoch, idempotencyKey, requiredExpired = take(), decodeName(take()), decodeName(take())
  local goneNode = requiredExpired and decodeName(take())
  local newEpoch = epoch == '' and take()
  local before = idempotencyKey and findRepeated(idempotencyKey)
  if before or isStale(epoch, requiredExpired, goneNode) then
    position = last
    return before or 0
  end
  state = state or {
    epoch = newEpoch, head = 0, tail = 'null', at = 0, tick = 0, oldest = 1, bytes = 0, listedFrom = 1, onceAt = now, onceIn = 10,
    isChanged = true,
  }
  local prev, first, count, ends, firstTick = state.tail, formatInteger(state.head + 1), tonumber(take()), false, nil
  notices[#notices + 1] = ''
  local headerIndex = #notices
  for i = 1, count do
    ends = appendDraft(i == 1 and '' or ',') or ends
    firstTick = firstTick or state.tick
  end
  local separator = headerIndex == 1 and '' or ','
  notices[headerIndex] = separator .. '["' .. state.epoch .. '",' .. first .. ',' .. (ends and 1 or 0) .. ',['
  notices[#notices + 1] = ']]'
  local answer = { 1, state.epoch, first, formatInteger(state.at), formatInteger(firstTick), prev }
  if idempotencyKey and not ends then remember(idempotencyKey, first, count) end
  if ends then endRoom() end
  return answer
end

local answers = {}
while position < #ARGV do answers[#answers + 1] = apply() end
if #notices > 0 then
  if state then
    flushAll()
    call('HSET', room, 'head', formatInteger(state.head), 'tail', state.tail, 'at', formatInteger(state.at),
      'tick', formatInteger(state.tick), 'bytes', formatInteger(state.bytes))
    if state.isChanged then
      call('HSET', room, 'epoch', state.epoch, 'oldest', formatInteger(state.oldest),
        'listedFrom', formatInteger(state.listedFrom), 'onceAt', formatInteger(state.onceAt), 'onceIn', state.onceIn)
    end
  end
  removeExpiredTickets()
  if publish ~= '' then call(publish, news, '[' .. publisher .. ',[' .. table.concat(notices) .. ']]') end
elseif state and publish == '' then
  -- A confirmation covers the writes of this connection only. This write lets it cover those of an earlier one, too.
  call('HSET', room, 'epoch', state.epoch)
end
answers[#answers + 1] = removedTickets
return answers
