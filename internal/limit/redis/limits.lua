-- Counts requests and tokens of all nodes, by the server's own clock.
--
-- KEYS[1] says since when there are counts. Each other key belongs to a rule: a
-- hash that is a sliding log, or for requests at the same time a sorted set of
-- those under way, by the instant their lease ends unless it is renewed.
--
-- ARGV[1] is what to do, ARGV[2] the request's name, ARGV[3] how long a lease
-- lasts, ARGV[4] how far counts must reach back to be judged by; then for each
-- rule three values, or one to renew. All times are in microseconds.
--
--   take     count the request if it fits: span (0: at the same time), limit, amount
--   force    count it whatever the limits: the same
--   peek     count nothing: the same
--   done     the request has ended: span, entry, change of the amount
--   renew    the request is under way: its name
--
-- take, force and peek answer with the age of the counts, then four numbers a
-- rule: how long until the request fits (0: it does), how much is counted, how
-- long until nothing is, and where the request's amount is.
--
-- A log is like that of limit/window.go: exact up to 128 entries, and beyond
-- that what happens within a 128th of the span is one entry that counts until
-- the last of it is out. Its fields are first and next, which number the
-- entries, their sum, and an entry under each number. Numbers begin at the
-- clock, so that they do not come back with a log that had expired.

local EXACT = 128
local DAY = 24 * 3600 * 1000

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local op, request, lease, reach = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

-- Lua would write large numbers with an exponent.
local function text(n) return string.format('%.0f', n) end

local function entry(log, number)
  local value = redis.call('HGET', log.key, text(number))
  if not value then return 0, 0 end
  local at, amount = string.match(value, '^(%d+) (%-?%d+)$')
  return tonumber(at), tonumber(amount)
end

-- open reads a log without what is out of its span; save keeps it so.
local function open(key, span)
  local head = redis.call('HMGET', key, 'first', 'next', 'sum')
  local log = {key = key, span = span, first = tonumber(head[1]) or now, next = tonumber(head[2]) or now, sum = tonumber(head[3]) or 0, gone = {}}
  while log.first < log.next do
    local at, amount = entry(log, log.first)
    if at > now - span then break end
    log.sum = log.sum - amount
    log.gone[#log.gone + 1] = text(log.first)
    log.first = log.first + 1
  end
  return log
end

local function save(log)
  if #log.gone > 0 then redis.call('HDEL', log.key, unpack(log.gone)) end
  redis.call('HSET', log.key, 'first', text(log.first), 'next', text(log.next), 'sum', text(log.sum))
  redis.call('PEXPIRE', log.key, text(log.span / 1000 + 1000))
end

local function put(log, number, at, amount)
  redis.call('HSET', log.key, text(number), text(at) .. ' ' .. text(amount))
end

-- add notes that the amount happened now, and gives the entry's number.
local function add(log, amount)
  log.sum = log.sum + amount
  local at = now
  if log.next > log.first then
    local newest, had = entry(log, log.next - 1)
    at = math.max(now, newest) -- the clock may have been set back
    local grain = log.span / EXACT
    if at == newest or (log.next - log.first >= EXACT and math.floor(at / grain) == math.floor(newest / grain)) then
      put(log, log.next - 1, at, had + amount)
      return log.next - 1
    end
  end
  put(log, log.next, at, amount)
  log.next = log.next + 1
  return log.next - 1
end

-- change corrects what an entry says, or adds what was used beyond it. What is
-- to be given back is not there any more when its entry is out.
local function change(log, number, by)
  if by > 0 then
    add(log, by)
  elseif number >= log.first and number < log.next then
    local at, amount = entry(log, number)
    put(log, number, at, amount + by)
    log.sum = log.sum + by
  end
end

-- wait is how long it takes until need more fit. What can never fit waits for a
-- whole span.
local function wait(log, limit, need)
  local left = limit - log.sum
  if need <= left then return 0 end
  if need > limit then return log.span end
  for number = log.first, log.next - 1 do
    local at, amount = entry(log, number)
    left = left + amount
    if need <= left then return math.max(at + log.span - now, 1) end
  end
  return log.span
end

local function clear(log)
  if log.sum == 0 or log.next == log.first then return 0 end
  return math.max(entry(log, log.next - 1) + log.span - now, 0)
end

local function enter(key, name)
  redis.call('ZADD', key, text(now + lease), name)
  redis.call('PEXPIRE', key, text(lease / 1000 + 1000))
end

if op == 'renew' then
  for i = 2, #KEYS do enter(KEYS[i], ARGV[i + 3]) end
  return {now}
end

if op == 'done' then
  for i = 2, #KEYS do
    local at = 3 * i - 1
    local span = tonumber(ARGV[at])
    if span == 0 then
      redis.call('ZREM', KEYS[i], request)
    else
      local log = open(KEYS[i], span)
      change(log, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
      if log.next > log.first then save(log) end
    end
  end
  return {now}
end

local since = tonumber(redis.call('GET', KEYS[1]))
if not since or since > now then
  since = now
  redis.call('SET', KEYS[1], text(now))
end
redis.call('PEXPIRE', KEYS[1], text(2 * DAY))

local answer, logs, fits = {now - since}, {}, true
for i = 2, #KEYS do
  local at = 3 * i - 1
  local span, limit, amount = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local pause, used, reset
  if span == 0 then
    used = redis.call('ZCOUNT', KEYS[i], '(' .. text(now), '+inf')
    pause, reset = 0, 0
    if used >= limit then pause = 1000000 end
  else
    local log = open(KEYS[i], span)
    logs[i] = log
    pause, used, reset = wait(log, limit, math.max(amount, 1)), log.sum, clear(log)
  end
  if pause > 0 then fits = false end
  local place = #answer
  answer[place + 1], answer[place + 2], answer[place + 3], answer[place + 4] = pause, used, reset, 0
end

if op == 'peek' or (op == 'take' and not fits) then return answer end
if op == 'take' and now - since < reach then return answer end

for i = 2, #KEYS do
  local place = 4 * (i - 2) + 1
  if logs[i] then
    local log, amount = logs[i], tonumber(ARGV[3 * i + 1])
    answer[place + 4] = add(log, amount)
    answer[place + 2], answer[place + 3] = log.sum, clear(log)
    save(log)
  else
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', text(now))
    enter(KEYS[i], request)
    answer[place + 2] = answer[place + 2] + 1
  end
end
return answer
