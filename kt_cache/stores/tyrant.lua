-- The edits of a Tokyo Tyrant store, made by the server itself: in one round trip where clients need two.
--
--     ttserver -ext tyrant.lua ...
--
-- An edit has the lease of its record meanwhile, as clients do who make theirs without this script: so the server may
-- be started with it and without it while clients are at work, and each client does what it can. What an edit is and
-- what becomes of records is said in edits.py, leases.py and reclaiming.py; this is the same in Lua 5.1, whose numbers
-- are exact up to 2^53: sums of 64 bits are made byte by byte.

local OWN = "\0tt\0"
local NEVER = string.rep("\255", 8)
local MINUTE, FORGOTTEN = 60000, 600000
local ABSENT, THERE, OTHER, TAKEN, REFUSED = "-", "+", "!", "~", "x"

local byte, char, format, sub = string.byte, string.char, string.format, string.sub

-- Return the number that bytes are, big-endian.
local function number(bytes)
   local result = 0
   for at = 1, #bytes do
      result = result * 256 + byte(bytes, at)
   end
   return result
end

-- Return 4 bytes, big-endian.
local function packed(size)
   return char(math.floor(size / 16777216) % 256, math.floor(size / 65536) % 256, math.floor(size / 256) % 256,
               size % 256)
end

-- Return the sum of a counter of 8 bytes and a delta of 9, or nil if it has no room in 8.
local function sum(counter, delta)
   local sign = byte(counter) >= 128 and 255 or 0
   local a, b, carry, digits = { sign, byte(counter, 1, 8) }, { byte(delta, 1, 9) }, 0, {}
   for at = 9, 1, -1 do
      local digit = a[at] + b[at] + carry
      carry = digit >= 256 and 1 or 0
      digits[at] = digit % 256
   end
   if digits[1] ~= (digits[2] >= 128 and 255 or 0) then
      return nil
   end
   return char(unpack(digits, 2, 9))
end

-- Read a message: the token of the lease, the time, flags and the rest, as `kt_cache.stores.script` has written it.
local function parse(message)
   local edit = { token = sub(message, 1, 16), now = number(sub(message, 17, 24)), expiry = sub(message, 25, 32) }
   local at = 37
   local function field()
      local size = number(sub(message, at, at + 3))
      at = at + 4 + size
      return sub(message, at - size, at - 1)
   end
   local function flag(place)
      return sub(message, place, place) == "1"
   end
   edit.action, edit.tells = sub(message, 33, 33), flag(34)
   if flag(35) then
      edit.expected = field()
   end
   if flag(36) then
      edit.absent = field()
   end
   edit.payload = sub(message, at)
   if edit.expiry == string.rep("\0", 8) then
      edit.expiry = nil
   end
   if edit.action == "P" then
      edit.action, edit.absent = "S", edit.expiry .. edit.payload
   end
   return edit
end

-- Return what was there, and the record that is there afterwards: nil for none, the same if it stays.
local function apply(edit, record)
   if not record or #record < 8 or number(sub(record, 1, 8)) <= edit.now then
      return ABSENT, edit.absent
   end
   local payload = sub(record, 9)
   if edit.expected and payload ~= edit.expected then
      return OTHER, record
   end
   local seen = edit.tells and THERE .. payload or THERE
   local header = edit.expiry or sub(record, 1, 8)
   if edit.action == "S" then
      return seen, header .. edit.payload
   elseif edit.action == "T" then
      return seen, header .. payload
   elseif edit.action == "D" then
      return seen, nil
   elseif edit.action == "A" and #payload == 8 then
      local total = sum(payload, edit.payload)
      return seen, total and header .. total or record
   end
   return seen, record
end

-- Write a key into the list of the minute that its record expires in, unless it is in an earlier one.
local function note(key, before, after, now)
   local header = sub(after, 1, 8)
   local expiry, listed = number(header), -1
   if before and #before >= 8 then
      listed = number(sub(before, 1, 8))
   end
   if header == NEVER or (now - FORGOTTEN < listed and listed <= expiry) then
      return true
   end
   return _putcat(OWN .. "expiry\0" .. format("%.0f", math.floor(expiry / MINUTE)), packed(#key) .. key)
end

local function change(key, edit)
   local record = _get(key)
   local seen, after = apply(edit, record)
   if after == nil then
      if record then
         _out(key)
      end
   elseif after ~= record and not (note(key, record, after, edit.now) and _put(key, after)) then
      return REFUSED
   end
   return seen
end

function kt_cache_version()
   return "1"
end

-- Edit the record of a key; a client gives the option that locks the record, so that these calls wait for each other.
function kt_cache(key, message)
   local lease = OWN .. "lease\0" .. key
   local edit = parse(message)
   if not _putkeep(lease, edit.token) then
      return TAKEN
   end
   local done, seen = pcall(change, key, edit)
   _out(lease)
   return done and seen or REFUSED
end
