-- What a script sees of the server: the table `__kyototycoon__`, made of the functions that Python gives here.
-- Python's functions stay in the upvalues of those below, which check what they are given as the original's do.
-- Source: the Kyoto Tycoon protocol reference, section 10.

local python, values, spare = ...

local error, next, pairs, pcall, rawget, select, setmetatable, tonumber, tostring, type, unpack =
  error, next, pairs, pcall, rawget, select, setmetatable, tonumber, tostring, type, unpack
local byte, char, find, floor, format, sub = string.byte, string.char, string.find, math.floor, string.format, string.sub
local concat, sort = table.concat, table.sort
local globals = _G
local MANY_RESULTS = 1000

-- Nothing calls Python before there is memory for what it returns.
for name, call in pairs(python) do
  python[name] = function(...)
    spare()
    return call(...)
  end
end

local kt = {}
local WEAK = {__mode = "k"}

-- Arguments ----------------------------------------------------------------------------------------------------------

local function invalid(name)
  error(name .. ": invalid arguments", 0)
end

-- A string, or a number as one; nil for anything else.
local function text(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" then
    return tostring(value)
  end
end

-- The same up to its first NUL, for what the original passes to functions of C.
local function line(value)
  local found = text(value)
  local stop = found and find(found, "\0", 1, true)
  return stop and sub(found, 1, stop - 1) or found
end

local function number(value)
  return tonumber(value) or 0
end

-- What stands for a number or a string in a record; nil for anything else.
local function field(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" then
    return format(value == floor(value) and "%d" or "%.6f", value)
  end
end

-- The strings of an array.
local function texts(array)
  local found = {}
  for index = 1, #array do
    found[#found + 1] = text(rawget(array, index))
  end
  return found
end

-- An expiry in seconds, nil for never.
local function expiry(value)
  return value ~= nil and number(value) or nil
end

-- Define a function of a table, which is called with no fewer arguments than `least` and no more than `most`; `body`
-- is told their number first.
local function define(where, prefix, name, least, most, body)
  local full = prefix .. name
  where[name] = function(...)
    local count = select("#", ...)
    if count < least or count > most then
      invalid(full)
    end
    return body(full, count, ...)
  end
end

-- Functions on texts and numbers -------------------------------------------------------------------------------------

local MANY = math.huge

local function define_kt(name, least, most, body)
  define(kt, "kt_", name, least, most, body)
end

-- What takes one string, and gives nothing for what is none.
for name, prepare in pairs {atoi = line, atoix = line, atof = line, hash_murmur = text, hash_fnv = text} do
  local convert = python[name]
  define_kt(name, 1, 1, function(_, _, value)
    local found = prepare(value)
    if found then
      return convert(found)
    end
  end)
end

-- What takes two strings, and perhaps a third one.
for name, prepare in pairs {strstr = line, strfwm = line, strbwm = line, regex = line, levdist = text} do
  local compare = python[name]
  define_kt(name, 2, MANY, function(full, _, left, right, other)
    left, right = prepare(left), prepare(right)
    if not (left and right) then
      invalid(full)
    elseif name == "levdist" then
      return compare(left, right, not not other)
    end
    return compare(left, right, line(other))
  end)
end

define_kt("time", 0, 0, function() return python.time() end)

define_kt("sleep", 0, 1, function(_, _, seconds)
  python.sleep(number(seconds))
end)

define_kt("pack", 1, MANY, function(full, count, form, ...)
  form = line(form)
  if not form then
    invalid(full)
  end
  local numbers, size = {}, 0
  for position = 1, count - 1 do
    local value = select(position, ...)
    if type(value) == "table" then
      for index = 1, #value do
        size = size + 1
        numbers[size] = number(rawget(value, index))
      end
    else
      size = size + 1
      numbers[size] = number(value)
    end
  end
  return python.pack(form, numbers)
end)

define_kt("unpack", 2, 2, function(full, _, form, data)
  form = line(form)
  if not form then
    invalid(full)
  end
  return python.unpack(form, text(data) or "")
end)

define_kt("split", 1, MANY, function(full, _, value, delimiters)
  value, delimiters = text(value), line(delimiters)
  if not value then
    invalid(full)
  end
  return python.split(delimiters and line(value) or value, delimiters)
end)

define_kt("codec", 2, 2, function(full, _, mode, data)
  mode, data = line(mode), text(data)
  if not (mode and data) then
    invalid(full)
  end
  return python.codec(mode, data)
end)

define_kt("bit", 2, MANY, function(full, _, mode, value, other)
  mode = line(mode)
  if not mode then
    invalid(full)
  end
  return python.bit(mode, number(value), number(other))
end)

define(kt, "serv_", "log", 2, 2, function(full, _, kind, message)
  kind, message = line(kind), line(message)
  if not kind then
    invalid(full)
  elseif message then
    python.log(kind, message)
  end
end)

-- Arrays and maps in one string: each size as a number of 7 bits a byte, the highest first.

local function varnum(value)
  if value < 128 then
    return char(value)
  end
  local digits = {char(value % 128)}
  repeat
    value = floor(value / 128)
    digits[#digits + 1] = char(value % 128 + 128)
  until value < 128
  local size = #digits
  for index = 1, floor(size / 2) do
    digits[index], digits[size + 1 - index] = digits[size + 1 - index], digits[index]
  end
  return concat(digits)
end

-- The number at a place, and the place behind it; 0, and the same place, where it is cut off.
local function read_varnum(data, at)
  local digit = byte(data, at)
  if digit and digit < 128 then
    return digit, at + 1
  end
  local value, start = 0, at
  while digit do
    value = value * 128 + digit % 128
    at = at + 1
    if digit < 128 then
      return value, at
    end
    digit = byte(data, at)
  end
  return 0, start
end

define_kt("arraydump", 1, 1, function(full, _, array)
  if type(array) ~= "table" then
    invalid(full)
  end
  local pieces, size = {}, 0
  for index = 1, #array do
    local value = field(rawget(array, index))
    if value then
      pieces[size + 1], pieces[size + 2] = varnum(#value), value
      size = size + 2
    end
  end
  return concat(pieces)
end)

define_kt("arrayload", 1, 1, function(full, _, data)
  data = text(data)
  if not data then
    invalid(full)
  end
  local array, count, at, last = {}, 0, 1, #data
  while at <= last do
    local size, start = read_varnum(data, at)
    if start == at or start + size - 1 > last then
      break
    end
    count, at = count + 1, start + size
    array[count] = sub(data, start, at - 1)
  end
  return array
end)

define_kt("mapdump", 1, 1, function(full, _, map)
  if type(map) ~= "table" then
    invalid(full)
  end
  local pieces, size = {}, 0
  for key, value in pairs(map) do
    key, value = field(key), field(value)
    if key and value then
      pieces[size + 1], pieces[size + 2] = varnum(#key), varnum(#value)
      pieces[size + 3], pieces[size + 4] = key, value
      size = size + 4
    end
  end
  return concat(pieces)
end)

define_kt("mapload", 1, 1, function(full, _, data)
  data = text(data)
  if not data then
    invalid(full)
  end
  local map, at, last = {}, 1, #data
  while at < last do
    local key_size, middle = read_varnum(data, at)
    local value_size, start = read_varnum(data, middle)
    local stop = start + key_size
    if middle == at or start == middle or stop + value_size - 1 > last then
      break
    end
    at = stop + value_size
    map[sub(data, start, stop - 1)] = sub(data, stop, at - 1)
  end
  return map
end)

-- Errors -------------------------------------------------------------------------------------------------------------

local Error = {
  SUCCESS = 0, NOIMPL = 1, INVALID = 2, NOREPOS = 3, NOPERM = 4, BROKEN = 5, DUPREC = 6, NOREC = 7, LOGIC = 8,
  SYSTEM = 9, MISC = 15,
}
local NAMES = {
  [0] = "success", "not implemented", "invalid operation", "no repository", "no permission", "broken file",
  "record duplication", "no record", "logical inconsistency", "system error",
}

local function error_name(code)
  return NAMES[tonumber(code)] or "miscellaneous error"
end

Error.meta_ = {__tostring = function(self) return error_name(self.code_) .. ": " .. tostring(self.message_) end}

function Error.new(class, code, message)
  local self = {code_ = 0, message_ = "error"}
  if tonumber(code) and text(message) then
    self.code_, self.message_ = code, message
  end
  function self.set(own, code, message)
    if tonumber(code) and text(message) then
      own.code_, own.message_ = code, message
    end
    return nil
  end
  function self.code(own) return own.code_ end
  function self.name(own) return error_name(own.code_) end
  function self.message(own) return own.message_ end
  return setmetatable(self, Error.meta_)
end

-- Visitors -----------------------------------------------------------------------------------------------------------

local REMOVE = newproxy()
local Visitor = {NOP = newproxy(), REMOVE = REMOVE, meta_ = {}}

function Visitor.new()
  local nothing = function() return nil end
  return setmetatable({visit_full = nothing, visit_empty = nothing}, Visitor.meta_)
end

local FileProcessor = {meta_ = {}}

function FileProcessor.new()
  return setmetatable({process = function() return true end}, FileProcessor.meta_)
end

-- Show a record to a visitor, or with no value that there is none; return nothing where it is to stay as it is, true
-- where it is to be removed, or a value and perhaps an expiry.
local function visit(visitor, key, value, xt)
  local going, result, other
  if type(visitor) == "table" then
    local method = visitor[value and "visit_full" or "visit_empty"]
    if type(method) ~= "function" then
      return
    elseif value then
      going, result, other = pcall(method, visitor, key, value, xt)
    else
      going, result, other = pcall(method, visitor, key)
    end
  elseif value then
    going, result, other = pcall(visitor, key, value, xt)
  else
    going, result, other = pcall(visitor, key, nil)
  end
  if not going then
    return
  elseif result == REMOVE then
    return true
  end
  return text(result), tonumber(other)
end

-- Call a method of a visitor that concerns no record.
local function tell(visitor, name)
  local method = type(visitor) == "table" and visitor[name]
  if type(method) == "function" then
    pcall(method, visitor)
  end
end

local function is_visitor(value)
  return type(value) == "table" or type(value) == "function"
end

-- A function of one that processes a file, or nil.
local function processor(value)
  local process, own = value, nil
  if type(value) == "table" then
    process, own = value.process, value
  end
  if type(process) == "function" then
    return function(...)
      local going, result
      if own then
        going, result = pcall(process, own, ...)
      else
        going, result = pcall(process, ...)
      end
      return going and not not result
    end
  end
  return nil
end

-- Cursors ------------------------------------------------------------------------------------------------------------

local Cursor = {meta_ = {}}
local cursors, owners = setmetatable({}, WEAK), setmetatable({}, WEAK)
local cursor_methods = {}

local function cursor_method(name, least, most, body)
  local full = "cur_" .. name
  cursor_methods[name] = function(...)
    local count, cursor = select("#", ...), cursors[(...)]
    if count < least or count > most or not cursor then
      invalid(full)
    end
    return body(cursor, count, ...)
  end
end

for _, name in pairs {"get", "get_key", "get_value"} do
  local read = python["cursor_" .. name]
  cursor_method(name, 1, 2, function(cursor, _, _, step) return read(cursor, not not step) end)
end

for _, name in pairs {"seize", "remove", "step", "step_back"} do
  local move = python["cursor_" .. name]
  cursor_method(name, 1, 1, function(cursor) return move(cursor) end)
end

for _, name in pairs {"jump", "jump_back"} do
  local jump = python["cursor_" .. name]
  cursor_method(name, 1, 2, function(cursor, count, _, key)
    key = text(key)
    if count > 1 and not key then
      invalid("cur_" .. name)
    end
    return jump(cursor, key)
  end)
end

cursor_method("set_value", 2, 4, function(cursor, _, _, value, xt, step)
  value = text(value)
  if not value or value == "" then
    invalid("cur_set_value")
  end
  return python.cursor_set_value(cursor, value, expiry(xt), not not step)
end)

cursor_method("accept", 2, 4, function(cursor, count, _, visitor, writable, step)
  if not is_visitor(visitor) then
    invalid("cur_accept")
  end
  return python.cursor_accept(cursor, visitor, count < 3 or not not writable, not not step)
end)

cursor_method("disable", 1, 1, function(_, _, self)
  cursors[self] = nil
  return nil
end)

cursor_method("db", 1, 1, function(_, _, self) return owners[self] end)
cursor_method("error", 1, 1, function(_, _, self) return owners[self]:error() end)

function Cursor.meta_.__tostring(self)
  local cursor = cursors[self]
  if not cursor then
    return "(disabled)"
  end
  return owners[self]:path() .. ": " .. (python.cursor_get_key(cursor, false) or "(nil)")
end

function Cursor.meta_.__call(self)
  local cursor = cursors[self]
  if not cursor then
    invalid("cur_call")
  end
  local key, value = python.cursor_get(cursor, true)
  return key, value
end

-- Databases ----------------------------------------------------------------------------------------------------------

local DB = {
  OREADER = 1, OWRITER = 2, OCREATE = 4, OTRUNCATE = 8, OAUTOTRAN = 16, OAUTOSYNC = 32, ONOLOCK = 64, OTRYLOCK = 128,
  ONOREPAIR = 256, MSET = 0, MADD = 1, MREPLACE = 2, MAPPEND = 3, XNOLOCK = 1, XNOCOMP = 256, meta_ = {},
}
local numbers = setmetatable({}, WEAK)
local methods = {}

function Cursor.new(class, db)
  if not numbers[db] then
    invalid("cur_new")
  end
  local self = {}
  for name, method in pairs(cursor_methods) do
    self[name] = method
  end
  cursors[self], owners[self] = python.cursor(numbers[db]), db
  return setmetatable(self, Cursor.meta_)
end

-- Define a method, which is given the number of its database and of its arguments, the database, and the arguments.
local function method(name, least, most, body)
  local full = "db_" .. name
  methods[name] = function(...)
    local count, number = select("#", ...), numbers[(...)]
    if count < least or count > most or not number then
      invalid(full)
    end
    return body(number, count, ...)
  end
end

for _, name in pairs {"set", "add", "replace", "append"} do
  local store, full = python[name], "db_" .. name
  method(name, 3, 4, function(db, _, _, key, value, xt)
    key, value = text(key), text(value)
    if not (key and value) then
      invalid(full)
    end
    return store(db, key, value, expiry(xt))
  end)
end

for _, name in pairs {"get", "remove", "seize", "check"} do
  local look, full = python[name], "db_" .. name
  method(name, 2, 2, function(db, _, _, key)
    key = text(key)
    if not key then
      invalid(full)
    end
    return look(db, key)
  end)
end

for _, name in pairs {"increment", "increment_double"} do
  local add, full = python[name], "db_" .. name
  method(name, 2, 5, function(db, _, _, key, amount, origin, xt)
    key = text(key)
    if not key then
      invalid(full)
    end
    return add(db, key, number(amount), number(origin), expiry(xt))
  end)
end

method("cas", 4, 5, function(db, _, _, key, old, new, xt)
  key = text(key)
  if not key then
    invalid("db_cas")
  end
  return python.cas(db, key, text(old), text(new), expiry(xt))
end)

method("set_bulk", 2, 4, function(db, count, _, records, xt, atomic)
  if type(records) ~= "table" then
    invalid("db_set_bulk")
  end
  local found = {}
  for key, value in pairs(records) do
    key, value = field(key), field(value)
    if key and value then
      found[key] = value
    end
  end
  return python.set_bulk(db, found, expiry(xt), count < 4 or not not atomic)
end)

for _, name in pairs {"remove_bulk", "get_bulk"} do
  local all, full = python[name], "db_" .. name
  method(name, 2, 3, function(db, count, _, keys, atomic)
    if type(keys) ~= "table" then
      invalid(full)
    end
    return all(db, texts(keys), count < 3 or not not atomic)
  end)
end

method("accept", 3, 4, function(db, count, _, key, visitor, writable)
  key = text(key)
  if not key or not is_visitor(visitor) then
    invalid("db_accept")
  end
  return python.accept(db, key, visitor, count < 4 or not not writable)
end)

method("accept_bulk", 3, 4, function(db, count, _, keys, visitor, writable)
  if type(keys) ~= "table" or not is_visitor(visitor) then
    invalid("db_accept_bulk")
  end
  tell(visitor, "visit_before")
  local done = python.accept_bulk(db, texts(keys), visitor, count < 4 or not not writable)
  tell(visitor, "visit_after")
  return done
end)

method("iterate", 2, 3, function(db, count, _, visitor, writable)
  if not is_visitor(visitor) then
    invalid("db_iterate")
  end
  tell(visitor, "visit_before")
  local done = python.iterate(db, visitor, count < 3 or not not writable)
  tell(visitor, "visit_after")
  return done
end)

for _, name in pairs {"match_prefix", "match_regex"} do
  local match, full = python[name], "db_" .. name
  method(name, 2, MANY, function(db, count, _, pattern, most)
    pattern = text(pattern)
    if not pattern then
      invalid(full)
    end
    return match(db, pattern, count > 2 and number(most) or -1)
  end)
end

method("match_similar", 2, MANY, function(db, count, _, origin, range, utf, most)
  origin = text(origin)
  if not origin then
    invalid("db_match_similar")
  end
  return python.match_similar(db, origin, count > 2 and number(range) or -1, not not utf,
    count > 4 and number(most) or -1)
end)

for _, name in pairs {"count", "size", "path", "status", "clear"} do
  local tell_of = python[name]
  method(name, 1, 1, function(db) return tell_of(db) end)
end

method("error", 1, 1, function(db) return Error:new(python.error(db)) end)

method("synchronize", 1, 3, function(db, _, _, hard, process)
  return python.synchronize(db, processor(process))
end)

method("occupy", 1, 3, function(db, _, _, writable, process)
  return python.occupy(db, processor(process))
end)

-- What would open, close or write other files than the server's, or hold a database beyond one function.
for name, most in pairs {open = 3, close = 1, copy = 2, dump_snapshot = 2, load_snapshot = 2, begin_transaction = 2,
    end_transaction = 2} do
  method(name, 1, most, function(db) return python.refuse(db) end)
end

method("transaction", 2, 3, function(db, _, _, body)
  local going, problem = true, nil
  local done = python.transaction(db, function()
    local result
    going, result = pcall(body)
    problem = not going and result
    return going and not not result
  end)
  if not going then
    error(problem, 0)
  end
  return done
end)

method("cursor", 1, 1, function(_, _, self) return Cursor:new(self) end)

method("cursor_process", 2, 2, function(_, _, self, process)
  if type(process) ~= "function" then
    invalid("db_cursor_process")
  end
  local cursor = Cursor:new(self)
  local going, problem = pcall(process, cursor)
  cursors[cursor] = nil
  if not going then
    error(problem, 0)
  end
end)

method("pairs", 1, 1, function(_, _, self)
  local cursor = Cursor:new(self)
  cursor:jump()
  return cursor, self, nil
end)

local MERGE = {[0] = "set", "add", "replace", "append"}

method("merge", 2, 3, function(_, _, self, sources, mode)
  local store = methods[MERGE[tonumber(mode) or 0]]
  if type(sources) ~= "table" or not store then
    invalid("db_merge")
  end
  for index = 1, #sources do
    sources[index]:iterate(function(key, value, xt) store(self, key, value, -xt) end, false)
  end
  return true
end)

method("mapreduce", 3, 10, function(_, _, self, map, reduce, _, _, _, _, _, log, process)
  if type(map) ~= "function" or type(reduce) ~= "function" then
    invalid("db_mapreduce")
  end
  local emitted, keys = {}, {}
  local function emit(key, value)
    key, value = text(key), text(value)
    if not (key and value) then
      invalid("db_mapreduce_emit")
    end
    if not emitted[key] then
      keys[#keys + 1], emitted[key] = key, {}
    end
    emitted[key][#emitted[key] + 1] = value
    return true
  end
  local function passes(body, ...)
    if type(body) ~= "function" then
      return true
    end
    local going, result = pcall(body, ...)
    return going and not not result
  end
  local done = passes(process, emit)
  self:iterate(function(key, value)
    done = done and passes(map, key, value, emit)
  end, false)
  done = done and passes(process, emit)
  sort(keys)
  for _, key in pairs(keys) do
    local found, index = emitted[key], 0
    done = done and passes(reduce, key, function()
      index = index + 1
      return found[index]
    end)
  end
  return done and passes(process)
end)

-- A database is a table of its methods; any other name is that of a record.

function DB.meta_.__index(self, key)
  local db = numbers[self]
  key = text(key)
  if not (db and key) then
    invalid("db_index")
  end
  return (python.get(db, key))
end

function DB.meta_.__newindex(self, key, value)
  local db = numbers[self]
  key, value = text(key), text(value)
  if not (db and key) then
    invalid("db_newindex")
  elseif value then
    python.set(db, key, value)
  else
    python.remove(db, key)
  end
end

function DB.meta_.__tostring(self)
  local db = numbers[self]
  return format("%s: %d: %d", python.path(db), python.count(db), python.size(db))
end

local function database(db)
  local self = {}
  for name, method in pairs(methods) do
    self[name] = method
  end
  numbers[self] = db
  return setmetatable(self, DB.meta_)
end

-- Scripts have the databases of the server, and can open no others.
function DB.new()
  return database(-1)
end

function DB.new_ptr() end
function DB.delete_ptr() end

function DB.process(class)
  return Error:new(Error.NOIMPL, "scripts have the server's databases only")
end

kt.DB, kt.Cursor, kt.Visitor, kt.FileProcessor, kt.Error = DB, Cursor, Visitor, FileProcessor, Error
kt.dbs = {}
for index, name in pairs(values.databases) do
  kt.dbs[index] = database(index - 1)
end
for index, name in pairs(values.databases) do
  kt.dbs[name] = kt.dbs[index]
end
kt.db = kt.dbs[1]
kt.RVSUCCESS, kt.RVENOIMPL, kt.RVEINVALID, kt.RVELOGIC, kt.RVEINTERNAL = 0, 1, 2, 3, 5
kt.VERSION, kt.thid = values.version, values.thid
__kyototycoon__ = kt

-- What a procedure gives, as the protocols have it: nil for what they have no form for.
local function told(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "boolean" then
    return tostring(value)
  end
  return field(value)
end

-- The code that a procedure means by what it returns: of a number its 32 lowest bits before the point.
local function to_code(result)
  if result == nil then
    return 0
  end
  local code = tonumber(result)
  if not code or code ~= code or code >= 2 ^ 63 or code < -2 ^ 63 then
    return 0
  end
  return (code < 0 and -floor(-code) or floor(code)) % 2 ^ 32
end

-- Call a procedure with names and values that follow each other, in a table if they are many; return what it gives in the
-- same way, or its code if that is not 0 or it gives nothing.
local function call(name, first, second, third, fourth, ...)
  local procedure = globals[name]
  if type(procedure) ~= "function" then
    return 1
  end
  local inmap, outmap
  if second ~= nil then  -- most are given one or two, for which a table need not grow
    if third == nil then
      inmap, outmap = {[first] = second}, {}
    else
      inmap, outmap = {[first] = second, [third] = fourth}, {}
    end
    if (...) ~= nil then
      local given = {...}
      for index = 1, #given, 2 do
        inmap[given[index]] = given[index + 1]
      end
    end
  else
    inmap, outmap = {}, {}
    for index = 1, first and #first or 0, 2 do
      inmap[first[index]] = first[index + 1]
    end
  end
  local code = to_code(procedure(inmap, outmap))
  local key, value = next(outmap)
  if code ~= 0 or key == nil then
    return code
  end
  local second = next(outmap, key)
  if second == nil or next(outmap, second) == nil then  -- most give one or two
    local name, given = told(key), told(value)
    local other, last = told(second), second ~= nil and told(outmap[second])
    if name and given then
      if other and last then
        return name, given, other, last
      end
      return name, given
    elseif other and last then
      return other, last
    end
    return code
  end
  local flat, size = {}, 0
  repeat
    local name, given = told(key), told(value)
    if name and given then
      flat[size + 1], flat[size + 2] = name, given
      size = size + 2
    end
    key, value = next(outmap, key)
  until key == nil
  if size > MANY_RESULTS then
    return flat
  end
  if size == 0 then
    return code
  end
  return unpack(flat, 1, size)
end

return call, visit
