-- The procedures that `python -m bench scripts` measures, and whose replies `load.c` knows.

kt = __kyototycoon__
db = kt.db

function get(inmap, outmap)
  outmap.value = db:get(inmap.key)
end

-- The first total has as many digits as all that follow.
function increment(inmap, outmap)
  outmap.total = db:increment("total:" .. inmap.key, 1, 1000000000)
end

function echo(inmap, outmap)
  for key, value in pairs(inmap) do
    outmap[key] = value
  end
end

function accept(inmap, outmap)
  db:accept(inmap.key, function(key, value)
    outmap.size = value and #value
    return value
  end)
end
