-- Lists keys of a family in the byte order of their names.
--
-- KEYS  1 keys, 2 order, 3 marks, 4 leases
-- ARGV  lower and upper lexicographic bound, how many at most
-- Returns {key, value, mark or nil, lease or nil, ...}
local answer = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local family, name = string.match(member, '^([^%z]*)%z(.*)$')
  local key = family .. name
  answer[#answer + 1] = key
  answer[#answer + 1] = redis.call('HGET', KEYS[1], key)
  answer[#answer + 1] = redis.call('HGET', KEYS[3], key)
  answer[#answer + 1] = redis.call('HGET', KEYS[4], key)
end
return answer
