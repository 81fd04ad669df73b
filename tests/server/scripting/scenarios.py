# ruff: noqa: E501 - a piece of Lua is one line
"""What scripts do in the tests: pieces of Lua that are run one after the other, each telling all that it returns.

The databases are ``db``, which keeps its records in order, and ``other``, which does not; both begin empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

Scenario = tuple[str, ...]


def literal(value: object) -> str:
    """Return Lua's spelling of a value."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return (
            '"'
            + "".join(f"\\{byte:03d}" if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in value)
            + '"'
        )
    if isinstance(value, str):
        return value  # Lua itself
    if isinstance(value, list):
        return "{" + ",".join(map(literal, value)) + "}"
    return repr(value).replace("inf", "math.huge")


def calls(names: str, *arguments: Iterable[object]) -> Iterator[str]:
    """Return calls of functions with every combination of arguments."""
    for name in names.split():
        for given in product(*arguments):
            yield f"return kt.{name}({', '.join(map(literal, given))})"


TEXTS = [
    b"",
    b"a",
    b"12x",
    b"-7",
    b" +3.25e1",
    b"1.5k",
    b"2 M",
    b"0x10",
    b"inf",
    b"nan",
    b"9" * 30,
    b"a\0b",
    b".5g",
    b"-1e",
    b"7t",
    b"1p2",
    b"3E",
]
NUMBERS = [
    0,
    1,
    -1,
    1.9,
    -2.5,
    127,
    128,
    255,
    256,
    65535,
    65536,
    2**31,
    2**32,
    2**40 + 5,
    -(2**31) - 1,
    2.0**53,
    2.0**60,
    2.0**63,
    2.0**64,
    1e300,
    -1e300,
    float("inf"),
]
BYTES = [b"", b"a", b"\x80", b"abc", b"\xff" * 8, bytes(range(16)), b"\x81\x01", b"\x81", b"a\0bc", b"x" * 130]

# A number that is cut off the original reads for ever.
WHOLE = [data for data in BYTES if not data or data[0] < 128]


def functions() -> Scenario:
    """Every function on texts and numbers."""
    return (
        *calls("atoi atoix atof hash_murmur hash_fnv", [*TEXTS, 12, 1.5, None, True, []]),
        *calls("hash_murmur hash_fnv", [bytes(range(length)) for length in range(1, 20)]),
        *calls("atoi atof hash_fnv", [b"1"], [b"2"]),
        *calls("levdist", [b"", b"abc", b"kitten", "'\\195\\164b'"], [b"", b"abd", b"sitting", "'\\195\\182b'"], [None, True]),
        *calls("levdist", [b"a"]),
        *calls("time", [1]),
        *calls("sleep", [0, None, b"x"]),
        *calls("sleep", [0], [0]),
        *(f"return kt.pack({literal(form.encode())}, {literal(number)})" for form in "cCsSiIlLfFdDnNMwWx" for number in NUMBERS),
        *calls("pack", [b"c2C*", b"n3", b"N*", b"c0s", b"s99999", b"", b"*", b"2", b"cx2c"], [[1, 2, 3, 4], [], 7, b"8", None], [9, [b"1", True, 2]]),
        *calls("pack", [1, None, []], [1]),
        "return kt.pack()",
        *calls("unpack", [f.encode() for f in "cCsSiIlLfFdDnNMwWx"], [data for data in BYTES if len(data) < 100]),
        *calls("unpack", [b"c*", b"c2C2", b"n*c", b"w*", b"c0C", b"s9", b"", b"wwC*"], [*BYTES, None, 5]),
        *calls("unpack", [b"c"]),
        *calls("split", [b"", b"a,b", b"a,b;c,", b"a\0b\0", b"\0", 12.5, None], [None, b"", b",", b",;", b"]^-", b"\0"]),
        *calls("codec", [b"url", b"base", b"quote", b"hex", b"zlib", b"deflate", b"gzip", b"URL", b"none", b"~none"], [*TEXTS[::3], *BYTES, b"a b&c=d~" * 20, 12]),
        *calls("codec", [b"~url", b"~base", b"~quote", b"~hex"], [*TEXTS, b"%41%4", b"%zz+a%", b"YQ==", b"YWI=", b"YWJj", b"YQ", b"=41=4", b"=\r\na", b"4142 43", b"414", b"4g", b"g4", b" 4 1", b"4x41"]),
        *(f"return kt.codec('~{mode}', kt.codec('{mode}', string.rep('abc', 1000)))" for mode in ("url", "base", "quote", "hex", "zlib", "deflate", "gzip")),
        *calls("codec", [None, b"url"], [None]),
        *calls("bit", [b"and", b"or", b"xor", b"not", b"left", b"right", b"AND", b"no"], NUMBERS[::2], [None, 3, 33, -1, b"7"]),
        *calls("bit", [None], [1]),
        *calls("strstr", [b"", b"abcabc", b"a\0b", 121], [b"", b"bc", b"x", 2], [None, b"", b"--", True]),
        *calls("strfwm strbwm", [b"", b"abc", b"a\0b", None], [b"", b"a", b"bc", b"c", b"abcd"]),
        *calls("regex", [b"", b"abc", b"aabbcc", b"a.c\n"], [b"", b"a", b"^a", b"c$", b"(b)(c)", b"[a-b]+", b"x*", b"(", b"a{2}", b"."], [None, b"", b"<$1$&$2$$>", b"$9$"]),
        *calls("regex", [None], [b"a"]),
        *calls("arraydump", [[], [b"a", b"bb"], [1, 2.5, -3, 1e20], [True, b"x", None, b"y"], [b"x" * 127, b"y" * 128, b"z" * 20000], None, b"x"]),
        *calls("arrayload", [*WHOLE, b"\x01a\x02bb", b"\x01a\x05bb", b"\x81\x80\x01a", 5, None]),
        *calls("mapdump", [[], "{k='v'}", "{[1]='one'}", "{[1.5]=2.25}", "{k=true}", "{k='" + "x" * 300 + "'}", None]),
        *calls("mapload", [*WHOLE, b"\x01\x01kv", b"\x01\x02kv", b"\x00\x00", b"\x01\x00k\x00\x01v", 5, None]),
        *(f"local t = {{}} for i = 1, {size} do t['k' .. i % 7 .. i] = i end return kt.mapdump(t)" for size in (2, 5, 17, 100)),
        "local t = {} for i = 1, 50 do t['k' .. i] = 'v' .. i end return kt.mapdump(kt.mapload(kt.mapdump(t)))",
        *calls("log", [b"debug", b"info", b"other"], [b"text", 1, None]),
        *calls("log", [None, b"info"]),
    )  # fmt: skip


CONSTANTS = (
    "local t = {} for k, v in pairs(kt) do if k ~= '__serv__' then t[k] = type(v) end end return t",
    "local t = {} for k, v in pairs(kt.DB) do t[k] = type(v) == 'number' and v or type(v) end return t",
    "local t = {} for k, v in pairs(kt.Error) do t[k] = type(v) == 'number' and v or type(v) end return t",
    "local t = {} for k, v in pairs(kt.Visitor) do t[k] = type(v) end return t",
    "local t = {} for k, v in pairs(kt.Cursor) do t[k] = type(v) end return t",
    "local t = {} for k, v in pairs(kt.FileProcessor) do t[k] = type(v) end return t",
    "local t = {} for k, v in pairs(kt.dbs) do t[k] = type(v) end return t",
    "return kt.RVSUCCESS, kt.RVENOIMPL, kt.RVEINVALID, kt.RVELOGIC, kt.RVEINTERNAL, kt.thid",
    "return kt.db == kt.dbs[1], kt.dbs[1] == kt.dbs['%'], kt.dbs[2] == kt.dbs['*'], kt.dbs[3]",
    "local e = kt.Error:new(7, 'gone') return e:code(), e:name(), e:message(), tostring(e)",
    "local e = kt.Error:new() return e:code(), e:name(), e:message(), tostring(e)",
    "local e = kt.Error:new(99, 'x') e:set(3, 'y') return e:code(), e:name(), tostring(e), e:set('a', 'b')",
    *(f"return tostring(kt.Error:new({code}, 'm'))" for code in range(-1, 17)),
    "local v = kt.Visitor:new() return v:visit_full('k', 'v'), v:visit_empty('k')",
    "return kt.FileProcessor:new():process('p', 1, 2)",
    "return db:path(), other:path(), tostring(db):gsub(': %d+$', ''), type(db:size())",
)


def asked(*expressions: str) -> Iterator[str]:
    """Return pieces that evaluate expressions, and tell the error of those that fail."""
    for expression in expressions:
        yield f"return judged(db, {expression})"


XTS = ("", ", nil", ", 100", ", -4098546906", ", 1e12", ", '200'", ", 0", ", 2^63", ", -2^63", ", 1.9")

RECORDS = (
    *asked("db:get('none')", "db:add('a', 'one')", "db:add('a', 'two')", "db:replace('a', 'three')", "db:replace('none', 'x')"),
    *asked("db:append('a', '-four')", "db:append('b', 'new')", "db:get('a')", "db:get('b')", "db:check('a')", "db:check('none')"),
    *asked("db:remove('b')", "db:remove('b')", "db:seize('a')", "db:seize('a')"),
    *(f"db:set('k', 'v'{xt}) return db:get('k')" for xt in XTS),
    *(f"db:remove('k') db:add('k', 'v'{xt}) return db:get('k')" for xt in XTS),
    *(f"db:replace('k', 'w'{xt}) return db:get('k')" for xt in XTS),
    *(f"db:set('k', 'v', 500) db:append('k', 'w'{xt}) return db:get('k')" for xt in XTS),
    *(f"db:set('k', 'v', 500) db:cas('k', 'v', 'w'{xt}) return db:get('k')" for xt in XTS),
    "db:remove('k') return db:set('k', '', -1), db:get('k')",
    *(f"return pcall(db.{name}, {arguments})" for name in ("set", "add", "replace", "append") for arguments in ("", "db", "db, 'k'", "db, 'k', nil", "db, nil, 'v'", "db, true, 'v'", "db, 'k', {}", "db, 'k', 'v', 1, 2", "nil, 'k', 'v'", "{}, 'k', 'v'", "db, 5, 1.5", "db, '', ''")),
    *(f"return pcall(db.{name}, {arguments})" for name in ("get", "remove", "seize", "check") for arguments in ("", "db", "db, nil", "db, true", "db, 'k', 1", "db, 5", "db, ''", "{}, 'k'")),
    "db:set('n', 'x') return db:get('n')",
    "return db.k, db.zz, pcall(function() return db[nil] end)",
    "db.k = 'set' db.l = 5 db[1.5] = 'x' return db:get('k'), db:get('l'), db:get('1.5')",
    "db.k = nil db.l = true return db.k, db.l",
    "return type(db.set), db.get == rawget(db, 'get')",
    "return pcall(function() db[true] = 1 end)",
    "db:clear() return db:count(), db:clear()",
)  # fmt: skip

COUNTERS = (
    *asked("db:increment('i')", "db:increment('i', 5)", "db:increment('i', 1.9)", "db:increment('i', -10)", "db:increment('i', '7')"),
    *asked("db:increment('i', 'x')", "db:increment('none', 1, -math.huge)", "db:increment('j', 1, 10)", "db:increment('j', 1, math.huge)"),
    *asked("db:increment('i', 3, -math.huge)", "db:increment('l', 0, 1e30)", "db:increment('m', 1, -1e30)", "db:increment('i', 2^62)"),
    *asked("db:increment('i', 2^62)", "db:increment('i', 2^63)", "db:increment('q', -2^63)", "db:get('q')"),
    *asked("db:set('text', 'abc')", "db:increment('text', 1)", "db:increment('text', 1, math.huge)", "db:increment_double('text', 1)"),
    *asked("db:increment_double('d')", "db:increment_double('d', 1.5)", "db:increment_double('d', -0.25)", "db:increment_double('d', '2.5')"),
    *asked("db:increment_double('e', 1, -math.huge)", "db:increment_double('e', 1, 2.5)", "db:increment_double('e', 7, math.huge)"),
    *asked("db:increment_double('f', math.huge)", "db:increment_double('f', 1)", "db:increment_double('g', 0/0)", "db:get('g')"),
    *(f"db:set('k', kt.pack('M', 5), 500) db:increment('k', 1, 0{xt}) return kt.unpack('M', (db:get('k'))), select(2, db:get('k'))" for xt in XTS),
    "return kt.unpack('MM', (db:get('d')))",
    *(f"return pcall(db.{name}, {arguments})" for name in ("increment", "increment_double") for arguments in ("", "db", "db, nil", "db, {}, 1", "db, 'i', nil", "db, 'i', 1, nil", "db, 'i', 1, 2, 3, 4", "db, 5, 1")),
    *asked("db:cas('c', nil, 'a')", "db:cas('c', nil, 'b')", "db:cas('c', 'a', 'b')", "db:cas('c', 'a', 'c')", "db:cas('c', 'b', nil)"),
    *asked("db:cas('c', 'b', 'x')", "db:cas('c', nil, nil)", "db:cas('c', true, 5)", "db:cas('c', 5, nil)"),
    *(f"return pcall(db.cas, {arguments})" for arguments in ("db, 'c'", "db, 'c', 'x'", "db, nil, 'a', 'b'", "db, 'c', 'x', 'y', 1, 2")),
)  # fmt: skip

BULK = (
    *asked("db:set_bulk({a = 1, b = 2.5, c = 'x', [4] = 'y', d = true})", "db:get_bulk({'a', 'b', 'c', 'd', 4, 'none'})"),
    *asked("db:remove_bulk({'a', 'none', 4, {}})", "db:remove_bulk({'a'}, false)", "db:get_bulk({'a', 'b'}, false)", "db:get_bulk({})"),
    *asked("db:set_bulk({})", "db:set_bulk({x = 'y'}, 100)", "db:get('x')", "db:set_bulk({x = 'z'}, nil, false)", "db:get('x')"),
    *asked("db:set_bulk({x = 'z'}, -4098546906, true)", "db:get('x')"),
    *(f"return pcall(db.{name}, {arguments})" for name in ("set_bulk", "remove_bulk", "get_bulk") for arguments in ("", "db", "db, nil", "db, 'x'", "db, {}, 1, 2, 3")),
    "local t = {} for i = 1, 300 do t['m' .. i] = i end return db:set_bulk(t), db:count()",
    *asked("db:match_prefix('m1', 5)", "db:match_prefix('m29')", "db:match_prefix('zz')", "db:match_prefix('', 2)", "db:match_prefix('m', 0)"),
    *asked("db:match_regex('m1.$')", "db:match_regex('^m2', 3)", "db:match_regex('(')", "db:match_regex('9$', 0)"),
    *asked("db:match_similar('m100')", "db:match_similar('m10', 1, true, 4)", "db:match_similar('m1', 0)", "db:match_similar('m1', -5, false, 3)"),
    *(f"return pcall(db.{name}, {arguments})" for name in ("match_prefix", "match_regex", "match_similar") for arguments in ("", "db", "db, nil", "db, {}")),
    "return #other:match_prefix('') + #db:match_prefix('')",
)  # fmt: skip

FILL = "db:clear() other:clear() for i = 1, 5 do db:set('k' .. i, 'v' .. i) end db:set('x', 'old', -4098546906) return db:count()"
VISIT = "local seen = {} local function see(k, v, xt) seen[#seen + 1] = k .. '=' .. tostring(v) .. '/' .. tostring(xt) "

VISITORS = (
    FILL,
    *(f"{VISIT} {body} end return db:accept('{key}', see{more}), seen, db:get('{key}')" for key in ("k1", "x", "none") for more in ("", ", true", ", false") for body in ("", "return nil", "return kt.Visitor.NOP", "return 'new'", "return 5", "return 'n', 100", "return 'n', -4098546907", "return 'n', '7'", "return 'n', {}", "return {}", "return true", "error('x')", "return 'n', kt.Visitor.NOP", "return kt.Visitor.REMOVE")),
    FILL,
    *(f"{VISIT} return v and v .. '!' or 'made' end return db:accept_bulk({keys}, see{more}), seen" for keys in ("{}", "{'k1', 'none', 'k2'}", "{'k1', 'k1'}", "{'k3', {}, 5, true}") for more in ("", ", false")),
    "return db:get_bulk({'k1', 'k2', 'k3', 'none', '5'})",
    FILL,
    *(f"local seen = {{}} local visitor = {{visit_before = function(self) seen[#seen + 1] = 'before' end, visit_after = function(self) seen[#seen + 1] = 'after' end, {methods}}} return {call}, seen" for methods in ("", "visit_full = function(self, k, v, xt) seen[#seen + 1] = k .. v .. xt return v .. '+' end", "visit_empty = function(self, k, v) seen[#seen + 1] = k .. tostring(v) return 'filled' end", "visit_full = 5") for call in ("db:accept('k1', visitor)", "db:accept('none', visitor)", "db:accept_bulk({'k2', 'nil'}, visitor)", "db:iterate(visitor)", "db:iterate(visitor, false)")),
    "return db:get_bulk({'k1', 'k2', 'k3', 'none', 'nil'})",
    FILL,
    f"{VISIT} end return db:iterate(see), seen",
    f"{VISIT} return v .. '!' end return db:iterate(see), db:iterate(see, false), seen, db:get_bulk({{'k1', 'k5', 'x'}})",
    f"{VISIT} if k == 'k2' then return kt.Visitor.REMOVE end end return db:iterate(see), seen, db:get('k2'), db:count()",
    *(f"return pcall(db.{name}, {arguments})" for name in ("accept", "accept_bulk", "iterate") for arguments in ("", "db", "db, 'k1'", "db, 'k1', nil", "db, nil, print", "db, 'k1', 'x'", "db, {}, 5", "db, {}, print, 1, 2", "db, print, 1, 2")),
    "return db:accept(5, function(k) return k end), db:get('5')",
    "local function keep(k, v, xt) return v end db:set('t', 'v', 100) db:accept('t', keep) return db:get('t')",
    "local function touch(k, v, xt) return v, xt end db:set('t', 'v', 100) db:accept('t', touch) return db:get('t')",
    "local function touch(k, v, xt) return v, -xt - 50 end db:set('t', 'v', 100) db:accept('t', touch) return db:get('t')",
)  # fmt: skip

CURSORS = (
    FILL,
    *asked("db:cursor():get()", "db:cursor():jump('zz')", "db:cursor():jump('k4')"),
    "local c = db:cursor() c:jump() local t = {} while true do local k, v, xt = c:get(true) if not k then break end t[#t + 1] = k .. v .. xt end return t, c:get(), c:step()",
    "local c = db:cursor() c:jump('k2') return c:get_key(), c:get_value(), c:get(), c:step(), c:get_key(true), c:get_value(true), c:get_key()",
    "local c = db:cursor() return c:jump_back(), c:get_key(), c:step_back(), c:get_key(), c:jump_back('k3z'), c:get_key(), c:step_back(), c:step_back(), c:step_back(), c:get()",
    "local c = db:cursor() c:jump('k2') return c:seize(), c:get_key()",
    "local c = db:cursor() c:jump('k3') return c:remove(), c:get_key(), c:remove(), c:remove(), c:remove(), c:remove(), c:get()",
    FILL,
    "local c = db:cursor() return tostring(c), c:jump('k2'), tostring(c), c:disable(), tostring(c), pcall(c.get, c)",
    "local c = db:cursor() c:jump() return c(), c(), c:get_key()",
    "local t = {} for k, v in db:pairs() do t[k] = v end return t",
    "local t = {} for k, v in other:pairs() do t[k] = v end return t",
    *(f"local c = db:cursor() c:jump('{key}') {VISIT} {body} end return c:accept(see{more}), seen, c:get_key(), db:get('{key}')" for key in ("k1", "zz") for more in ("", ", false", ", true, true", ", true, false") for body in ("", "return 'new'", "return 'n', 100", "return kt.Visitor.REMOVE", "error('x')")),
    FILL,
    "local c = db:cursor() c:jump('k2') return c:db() == db, tostring(c:error()), c:error():code()",
    "local seen return db:cursor_process(function(c) c:jump() seen = c:get_key() end), seen",
    "return pcall(db.cursor_process, db, function(c) error('no', 0) end)",
    *(f"local c = db:cursor() c:jump() return pcall(c.{name}, {arguments})" for name in ("get", "get_key", "get_value", "jump", "jump_back", "step", "step_back", "seize", "remove", "disable", "db", "error", "accept", "set_value") for arguments in ("", "c, 1, 2, 3, 4", "c, nil", "{}", "c, {}")),
    FILL,
    "local c = other:cursor() other:set('a', '1') return c:jump('a'), c:get(), c:jump('b'), c:jump_back(), tostring(other:error()), c:step_back(), c:get()",
    "local c = db:cursor() c:jump('k2') db:remove('k2') return c:get_key(), c:step(), c:get_key()",
    "local c = db:cursor() c:jump('k4') db:clear() return c:get()",
    "kept = db:cursor() db:set('later', 'x') return kept:jump()",
    "return kept:get(true), kept:get()",
)  # fmt: skip

DATABASE = (
    FILL,
    "local t = db:status() return t.count, t.path, t.type, t.ktopts",
    "return db:count(), other:count(), pcall(db.count), pcall(db.count, db, 1), pcall(db.count, {})",
    "return db:synchronize(), db:synchronize(true), other:synchronize(false, nil)",
    "local seen local done = db:synchronize(true, function(path, count, size) seen = path .. count return true end) return done, seen",
    "local seen local done = db:synchronize(true, function(path, count, size) return false end) return done",
    "local seen local done = db:occupy(true, function(path, count, size) seen = path .. count return true end) return done, seen",
    "return db:occupy(), db:occupy(false, function() return false end)",
    "return db:transaction(function() db:set('t', 'v') return true end), db:get('t')",
    "return db:transaction(function() db:set('t', 'w') db:remove('k1') return false end), db:get('t'), db:get('k1')",
    "return pcall(db.transaction, db, function() db:set('t', 'w') error('no', 0) end)",
    "return db:get('t')",
    "return pcall(db.transaction, db), pcall(db.transaction)",
    "other:set('o', 'v', 300) other:set('k1', 'theirs') return db:merge({other}), db:get('o'), db:get('k1')",
    "other:set('k2', 'theirs') other:set('new', 'n') return db:merge({other}, kt.DB.MADD), db:get('k2'), db:get('new')",
    "other:set('no', 'n') return db:merge({other}, kt.DB.MREPLACE), db:get('k2'), db:get('no')",
    "return db:merge({}), db:merge({other}, kt.DB.MAPPEND), db:get('k2')",
    "local t = {} db:clear() db:set_bulk({a = 'x y', b = 'y z'}) local done = db:mapreduce(function(k, v, emit) for w in v:gmatch('%a+') do emit(w, k) end return true end, function(k, values) local all = {} while true do local v = values() if not v then break end all[#all + 1] = v end t[k] = table.concat(all, ',') return true end) return done, t",
    "return db:mapreduce(function(k, v, emit) return false end, function() return true end)",
    "return pcall(db.mapreduce, db, 1, 2)",
    "local e = db:error() return type(e)",
)  # fmt: skip

SCENARIOS: dict[str, Scenario] = {
    "functions": functions(),
    "constants": CONSTANTS,
    "records": RECORDS,
    "counters": COUNTERS,
    "bulk": BULK,
    "visitors": VISITORS,
    "cursors": CURSORS,
    "database": DATABASE,
}

ANSWERS = (
    *(f"outmap.a = 'b' return {code}" for code in ("", "nil", "0", "1", "2", "3", "4", "5", "6", "-1", "100", "0.9", "1.9", "true", "'3'", "'x'", "{}", "0/0", "math.huge")),
    "error('x')",
    "error({})",
    "outmap.a, outmap.b, outmap.c, outmap.d = 1, 1.5, true, false",
    "outmap[1], outmap[2.5], outmap[true], outmap[false] = 'one', 'half', 'yes', 'no'",
    "outmap.a, outmap.b = {}, print",
    "outmap[{}] = 'x'",
    "outmap.a, outmap.b, outmap.c, outmap.d = 1e20, -1e15, 0.1, 1/3",
    "outmap.a, outmap.b = '', 'a\\0b' outmap[''] = 'empty'",
    "outmap['b'] = 1 outmap['a'] = 2 outmap['\\255'] = 3 outmap['B'] = 4",
    "outmap = 5",
    "for i = 1, 60 do outmap['k' .. i] = string.rep('v', i) end",
)  # fmt: skip
"""What procedures return and give, each told as the protocols tell it."""
