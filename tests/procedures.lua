-- What the tests of scripts call: a procedure for each way in which one may end.

function echo(inmap, outmap)
   for key, value in pairs(inmap) do
      outmap[key] = value
   end
end

function fail(inmap, outmap)
   outmap.never = "seen"
   return 3
end
