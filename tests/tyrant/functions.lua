-- Functions of a Tokyo Tyrant server for tests.

function echo(key, value)
  return key .. "|" .. value
end

function truth(key, value)
  return true
end

function untruth(key, value)
  return "false"
end

function none(key, value)
  return nil
end

function same(key, value)
  return value
end

function fail(key, value)
  error("this one fails")
end

function count(key, value)
  local number = tonumber(_get(key) or "0") + 1
  _put(key, tostring(number))
  return number
end
