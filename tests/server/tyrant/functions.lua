-- What the tests of scripts call.

function echo(k,v)
  return k..v
end

function ret(k,v)
  local t={str="s",num=0.1,big=2^53,tru=true,fals=false,empty="",tab={"a","b"},tabn={5},et={},tf={false},ta={a=1},int=7,neg=-3.5} return t[k]
end

function two(k,v)
  return "a","b"
end

function err(k,v)
  error("x")
end

function put(k,v)
  return _put(k,v)
end

function get(k,v)
  return _get(k)
end

function num(k,v)
  return _put(k, 5)
end

function out(k,v)
  return _out(k)
end

function keep(k,v)
  return _putkeep(k,v)
end

function cat(k,v)
  return _putcat(k,v)
end

function vsiz(k,v)
  return _vsiz(k)
end

function addint(k,v)
  return _addint(k,tonumber(v))
end

function adddouble(k,v)
  return _adddouble(k,tonumber(v))
end

function misc(k,v)
  local r=_misc(k,v) if not r then return "nil" end return table.concat(r,"|")
end

function miscl(k,v)
  local r=_misc("$"..k,{v,"k2"}) if not r then return "nil" end return table.concat(r,"|")
end

function each(k,v)
  local n=0 _foreach(function(a,b) n=n+1 return true end) return n
end

function each1(k,v)
  local n=0 _foreach(function(a,b) n=n+1 return false end) return n
end

function stash(k,v)
  _stashput(k,v) return _stashget(k)
end

function pk(k,v)
  local s=_pack("CsinNMw",{1,2,3,4,5,6,300}) local t=_unpack("CsinNMw",s) return _codec("hex",s)..":"..table.concat(t,",")
end

function pk2(k,v)
  return _codec("hex",_pack("N*",1,2,3))
end

function codec(k,v)
  return _codec(k,v)
end

function hash(k,v)
  return _hash(k,v)
end

function spl(k,v)
  return table.concat(_split(k,","),"|")
end

function fw(k,v)
  return table.concat(_fwmkeys(k,2),"|")
end

function it(k,v)
  _iterinit() local n=0 while _iternext() do n=n+1 end return n
end

function strs(k,v)
  return _strstr(k,v)
end

function rx(k,v)
  return _regex(k,v)
end

function tm()
  return _time() > 0
end

function sl()
  return _sleep(0.01)
end

function ev(k,v)
  return _eval(k)
end

function lk(k,v)
  local a=_lock(k) local b=_unlock(k) return tostring(a)..tostring(b)
end

function ver()
  return _version
end

function bit(k,v)
  return _bit(k,12,10)
end

function rn()
  return _rnum()
end

function mr(k,v)
  local r={} _mapreduce(function(a,b,emit) return emit("n",b) end,function(a,b) r[#r+1]=a..#b return true end) return table.concat(r,",")
end

function _priv()
  return "x"
end

function badput()
  return _put({}, "x")
end

function isect()
  return table.concat(_isect({"a","b"},{"b","c"}),",")
end

function tp()
  return type(_put)..type(_get("zz"))
end
