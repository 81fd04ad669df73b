-- The script of the tests: procedures that do what a client writes, and tell all that comes of it.

kt = __kyototycoon__
db, other = kt.dbs[1], kt.dbs[2]

local function told(value, depth)
  local kind = type(value)
  if kind == "number" then
    return string.format("%.17g", value)
  elseif kind == "string" then
    return "'" .. value .. "'"
  elseif kind == "boolean" or kind == "nil" then
    return tostring(value)
  elseif kind == "table" and depth < 3 and getmetatable(value) == nil then
    local fields = {}
    for key, each in pairs(value) do
      fields[#fields + 1] = told(key, 3) .. "=" .. told(each, depth + 1)
    end
    table.sort(fields)
    return "{" .. table.concat(fields, ",") .. "}"
  end
  return kind
end

local function tell(outmap, going, ...)
  outmap.going = going
  for index = 1, select("#", ...) do
    outmap[index] = told((select(index, ...)), 0)
  end
end

-- What a method gives, and where that is a sign of failure its error. Otherwise there may be one of the original's own
-- making: that of its collection of expired records.
function judged(which, ...)
  if (...) and (...) ~= -1 then
    return ...
  end
  local problem = which:error()
  return (...), problem:code(), problem:name(), problem:message(), tostring(problem)
end

function run(inmap, outmap)
  local body, problem = loadstring(inmap.code, "=code")
  if not body then
    outmap.problem = problem
    return
  end
  tell(outmap, pcall(body))
end

function answer(inmap, outmap)
  local body = assert(loadstring(inmap.code, "=code"))
  setfenv(body, setmetatable({outmap = outmap, inmap = inmap}, {__index = _G}))
  return body()
end

function echo(inmap, outmap)
  for key, value in pairs(inmap) do
    outmap[key] = value
  end
end

function dumped(inmap, outmap)
  outmap.map = kt.mapdump(inmap)
end

function count(inmap, outmap)
  counter = (counter or 0) + 1
  outmap.counter = counter
end
