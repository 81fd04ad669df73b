"""Requests in an order that makes sense, for each kind of database: what the original answers to them is recorded.

A request is a message of the binary protocol, or text, which is sent on a connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_messages import Request

Requests = Sequence[Request | bytes]


class Scenario(NamedTuple):
    """A database, the flags of its server, and what it is asked."""

    name: str
    requests: Requests
    flags: Sequence[str] = ()


def misc(name: str, *arguments: bytes) -> tt.Misc:
    """Return the call of a function."""
    return tt.Misc(name.encode(), tt.NO_UPDATE_LOG, arguments)


FUNCTIONS: Final = (
    "put", "putkeep", "putcat", "out", "get", "putlist", "outlist", "getlist", "getpart", "iternext", "sync",
    "optimize", "regex", "range", "defrag", "cacheclear", "putdup", "putdupback", "setindex", "search", "metasearch",
    "tranbegin", "trancommit", "tranabort", "outdup", "putshl", "addint", "fwmkeys", "rnum", "size", "stat", "copy",
    "path", "foreach",
)  # fmt: skip


def records() -> Iterator[Request]:
    """What every kind but tables and numbered records does alike."""
    yield from (tt.Get(b"k"), tt.VSiz(b"k"), tt.Out(b"k"), tt.Put(b"k", b"v"), tt.Get(b"k"), tt.PutKeep(b"k", b"w"))
    yield from (tt.PutKeep(b"k2", b"w"), tt.PutCat(b"k", b"+"), tt.PutCat(b"new", b"x"), tt.Get(b"k"), tt.Get(b"new"))
    for width in (0, 2, 4, 10):
        yield from (tt.Put(b"s", b"old"), tt.PutShl(b"s", b"ABC", width), tt.Get(b"s"))
        yield from (tt.Out(b"s"), tt.PutShl(b"s", b"ABC", width), tt.Get(b"s"))
    yield from (
        tt.PutNr(b"nr", b"v"),
        tt.Get(b"nr"),
        tt.Put(b"", b"empty"),
        tt.Get(b""),
        tt.Put(b"e", b""),
        tt.Get(b"e"),
    )
    yield from (tt.VSiz(b"e"), tt.MGet([b"k", b"none", b"e", b"k"]), tt.MGet([]), tt.RNum())
    yield from (tt.Out(b"k"), tt.Out(b"k"), tt.RNum(), tt.Sync(), tt.Optimize(b""), tt.Copy(b""))
    for value in (b"", b"\5\0\0\0", b"\xff\xff\xff\x7f", b"abcd", b"12345", bytes(8), b"\0\0\0\0\0\0\xf8\x3f"):
        yield from (tt.Put(b"n", value), tt.AddInt(b"n", 1), tt.AddInt(b"n", 0), tt.Get(b"n"), tt.AddInt(b"n", -3))
        yield from (tt.AddDouble.of(b"n", 1.5), tt.AddDouble.of(b"n", -0.25), tt.Get(b"n"))
    for number in (0, 5, -7, (1 << 31) - 1, -(1 << 31)):
        yield from (tt.Out(b"i"), tt.AddInt(b"i", number), tt.AddInt(b"i", number), tt.Get(b"i"))
    for whole, fraction in (
        (0, 0),
        (1, 2_500_000_000_000),
        (-1, -500_000_000_000),
        (1 << 62, 0),
        (0, -7),
        (-(1 << 63), 5),
    ):
        yield from (tt.Out(b"d"), tt.AddDouble(b"d", whole, fraction), tt.AddDouble(b"d", 0, 0), tt.Get(b"d"))
    for whole, fraction in (((1 << 63) - 1, 0), (-(1 << 63), -(1 << 63))):
        yield from (tt.Out(b"d"), tt.AddDouble(b"d", whole, fraction), tt.Get(b"d"), tt.AddDouble(b"d", 1, 0))
    yield from (tt.Ext(b"f", 0, b"k", b"v"), tt.Restore(b"/nowhere", 1, 0), tt.SetMst(b"", 0, 0, 0))


def functions() -> Iterator[Request]:
    """Functions that every kind has; and which others there are."""
    yield tt.Vanish()
    yield from (misc(name) for name in FUNCTIONS)
    yield from (misc(name, b"one") for name in ("put", "putkeep", "putcat", "putlist", "none"))
    yield from (
        misc("put", b"k", b"abc", b"more"),
        misc("putkeep", b"k", b"x"),
        misc("putcat", b"k", b"d"),
        misc("get", b"k"),
    )
    for arguments in (
        (),
        (b"0",),
        (b"4",),
        (b"3",),
        (b"1", b"2"),
        (b"-1", b"2"),
        (b"0", b"-2"),
        (b"1", b"0"),
        (b" 1x", b""),
    ):
        yield from (misc("getpart", b"k", *arguments), misc("getpart", b"none", *arguments))
    yield from (misc("putlist", b"a", b"1", b"b", b"2", b"c"), misc("getlist", b"b", b"none", b"a"), misc("getlist"))
    yield from (
        misc("outlist", b"b", b"none"),
        misc("getlist", b"a", b"b"),
        misc("out", b"a"),
        misc("out", b"a"),
        tt.RNum(),
    )
    yield from (misc("vanish"), tt.RNum(), tt.IterNext(), misc("iternext"))


def order() -> Iterator[Request]:
    """What depends on the order of the keys."""
    yield tt.Vanish()
    keys = [b"10", b"9", b"B", b"a", b"aa", b"b", b"c", b"\xff\xfe", b"\0", b"a\0", b"z" * 600, b"k" * 500 + b"1"]
    yield from (tt.Put(key, b"v" + key[:3]) for key in keys)
    yield from (
        tt.FwmKeys(prefix, limit) for prefix in (b"", b"a", b"z", b"\xff", b"k" * 500) for limit in (-1, 0, 1, 2)
    )
    for arguments in (
        (),
        (b"",),
        (b"a",),
        (b"a", b"2"),
        (b"a", b"0", b"c"),
        (b"a", b"-1", b""),
        (b"c", b"0", b"a"),
        (b"a", b"x"),
    ):
        yield misc("range", *arguments)
    yield from (
        misc("regex", *given) for given in ((b"^a",), (b"*^A",), (b"a|b", b"2"), (b".", b"0"), (b"(",), (b"", b"-1"))
    )
    yield from (tt.IterInit(), *[tt.IterNext()] * 14)
    for key in (b"a", b"ab", b"zzz", b"~~~"):
        yield from (misc("iterinit", key), misc("iternext"), tt.IterNext())
    yield from (tt.IterInit(), tt.IterNext(), tt.Out(b"10"), tt.IterNext(), misc("vanish"), tt.IterNext())
    yield from (misc("iterinit"), tt.IterInit(), tt.IterNext())


def duplicates() -> Iterator[Request]:
    """Several values under a key."""
    yield tt.Vanish()
    yield from (misc("putdup", b"k", value) for value in (b"1", b"2", b"3"))
    yield from (misc("putdupback", b"k", b"0"), tt.Put(b"j", b"j"), tt.Put(b"l", b"l"), misc("get", b"k"), tt.Get(b"k"))
    yield from (tt.RNum(), tt.Put(b"k", b"X"), misc("getlist", b"k", b"j"), tt.MGet([b"k"]), tt.PutCat(b"k", b"c"))
    yield from (
        tt.PutShl(b"k", b"zz", 3),
        tt.VSiz(b"k"),
        misc("get", b"k"),
        tt.FwmKeys(b"", -1),
        misc("regex", b"k", b"2"),
    )
    yield from (misc("range", b"", b"3"), misc("range", b"k", b"0", b"l"), tt.IterInit(), *[tt.IterNext()] * 7)
    yield from (misc("iterinit", b"k"), misc("iternext"), misc("out", b"k"), *[misc("iternext")] * 4)
    yield from (misc("putlist", b"k", b"N", b"k", b"M"), misc("get", b"k"), tt.PutKeep(b"k", b"x"), tt.RNum())
    yield from (tt.Out(b"k"), misc("get", b"k"), misc("outlist", b"k"), misc("get", b"k"), tt.RNum(), tt.Get(b"k"))


def numbered() -> Iterator[Request]:
    """Records under numbers."""
    every = tt.FwmKeys(b"[min,max]", -1)
    keys = [
        b"1",
        b"007",
        b" 5",
        b"-5",
        b"a1b2",
        b"x",
        b"0",
        b"",
        b"min",
        b"max",
        b"next",
        b"next",
        b"prev",
        b"9" * 30,
        b"999999999",
    ]
    yield from (tt.Put(b"min", b"m"), tt.Put(b"max", b"m"), tt.Put(b"prev", b"m"), every)
    for key in keys:
        yield from (tt.Put(key, b"v" + key[:9]), tt.Get(key))
    yield from (every, tt.AddInt(b"3", 5), tt.AddInt(b"3", 5), tt.AddInt(b"next", 1), tt.AddInt(b"x", 1), tt.RNum())
    for interval in (
        b"[2,33]",
        b"(5,30)",
        b"(5,30]",
        b"[5",
        b"5,8",
        b"[a,b]",
        b"[33,2]",
        b"[ 2 , 33 ]",
        b"[2,33)x",
        b"(min,max)",
        b"",
    ):
        yield from (tt.FwmKeys(interval, -1), tt.FwmKeys(interval, 1))
    for arguments in (
        (), (b"",), (b"3",), (b"3", b"2"), (b"3", b"0", b"12"), (b"min", b"0", b"max"), (b"max",), (b"3", b"-1", b""),
        (b"x",), (b"3", b"0", b"x"), (b"12", b"0", b"3"), (b"7", b"0", b"7"),
    ):  # fmt: skip
        yield misc("range", *arguments)
    yield from (
        tt.PutCat(b"7", b"x" * 30),
        tt.Get(b"7"),
        tt.PutShl(b"7", b"abc", 4),
        tt.Get(b"7"),
        tt.Put(b"8", b"y" * 30),
    )
    yield from (
        tt.Get(b"8"),
        misc("iterinit", b"6"),
        misc("iternext"),
        tt.IterNext(),
        misc("iterinit", b"99999"),
        tt.IterNext(),
    )
    yield from (
        misc("iterinit", b"x"),
        misc("getlist", b"7", b"x"),
        misc("outlist", b"x"),
        misc("putlist", b"21", b"a"),
    )
    yield from (
        misc("putlist", b"x", b"a", b"22", b"b"),
        tt.Get(b"22"),
        misc("regex", b"^1"),
        misc("out", b"21"),
        misc("out", b"21"),
    )
    yield from (tt.Out(b"min"), tt.Out(b"max"), tt.Get(b"min"), every, misc("vanish"), every, tt.RNum())


def rows() -> Iterator[Request]:
    """Rows of a table."""
    for value in (
        b"name\0alice\0age\00030", b"lonely", b"x\0001\0x\0002\0y\0003", b"\0v", b"", b"a\0b\0", b"a\0\0b\0x",
        b"a\0b\0c", b"\0\0\0", b"a\0", b"a\0\0", b"a\0b\0\0d",
    ):  # fmt: skip
        yield from (tt.Put(b"k", value), tt.Get(b"k"), misc("get", b"k"), tt.PutKeep(b"k", value), tt.VSiz(b"k"))
    yield from (
        tt.Put(b"", b"n\0001"),
        tt.PutKeep(b"", b"n\0002"),
        tt.Get(b"1"),
        tt.Get(b"2"),
        misc("genuid"),
        misc("genuid"),
    )
    yield from (tt.AddInt(b"", 5), tt.Get(b"5"), tt.AddDouble.of(b"", 1.5), tt.Get(b"6"), tt.RNum())
    yield from (tt.Put(b"a", b"name\0alice\0age\00030"), tt.PutCat(b"a", b"age\00099\0new\0v"), tt.Get(b"a"))
    yield from (
        tt.PutCat(b"new", b"q\0001"),
        tt.Get(b"new"),
        tt.PutCat(b"a", b"\0v"),
        tt.PutCat(b"none", b"\0v"),
        tt.Get(b"none"),
    )
    for text in (
        b"",
        b"5",
        b"5.5",
        b"-.5e1",
        b"1e3",
        b"0x10",
        b"inf",
        b"nan",
        b" 12",
        b"+3",
        b"--1",
        b"12abc",
        b"2147483647",
        b"-2147483649",
    ):
        yield from (
            tt.Put(b"n", b"a\0b\0_num\0" + text),
            tt.AddInt(b"n", 1),
            tt.Get(b"n"),
            tt.AddDouble.of(b"n", 0.5),
            tt.Get(b"n"),
        )
    yield from (tt.AddInt(b"zero", 0), tt.Get(b"zero"), tt.AddDouble(b"tiny", 0, 400_000), tt.Get(b"tiny"))
    yield from (
        misc("put", b"m", b"a", b"x\0y", b"b"),
        misc("get", b"m"),
        tt.Get(b"m"),
        misc("put", b"m"),
        misc("get", b"m"),
    )
    yield from (
        misc("put", b"m", b"", b"v"),
        misc("putkeep", b"m", b"a", b"1"),
        misc("putcat", b"m", b"a", b"1", b"a", b"2"),
    )
    yield from (misc("get", b"m"), misc("putlist", b"p1", b"a\0b", b"p2", b""), misc("getlist", b"p1", b"p2", b"none"))
    yield from (misc("getpart", b"p1", b"1"), misc("outlist", b"p1", b"none"), misc("out", b"p2"), misc("out", b"p2"))
    for arguments in (
        (b"x", b"DEC"), (b"x", b"lexical"), (b"x", b"bad"), (b"x",), (), (b"x", b"9998"), (b"x", b"9999"),
        (b"x", b"9999"), (b"nn", b"VOID"), (b"", b"LEX"), (b"", b"VOID"), (b"q", b"16777217"), (b"q", b"16777217"),
        (b"q", b"0"),
    ):  # fmt: skip
        yield misc("setindex", *arguments)
    yield from (misc("vanish"), misc("genuid"), tt.RNum())


ROWS: Final[Mapping[bytes, bytes]] = {
    b"r1": b"n\0alice\0a\00030\0t\0red, green blue",
    b"r2": b"n\0bob\0a\00025\0t\0red",
    b"r3": b"n\0carol\0a\00025.5\0t\0blue red",
    b"r4": b"n\0dave",
    b"r5": b"a\0abc\0t\0",
    b"10": b"a\000-5\0n\0Alice",
    b"9": b"a\0 7x\0n\0" + "été".encode(),
}


def searches() -> Iterator[Request]:
    """Searches, in an order of the keys where there is no other."""
    by_key = b"setorder\0\0STRASC"

    def condition(column: bytes, operator: bytes, expression: bytes) -> bytes:
        return b"\0".join((b"addcond", column, operator, expression))

    yield tt.Vanish()
    yield from (tt.Put(key, row) for key, row in ROWS.items())
    expressions = (
        (b"n", b"al"), (b"n", b"alice"), (b"n", b"ALICE"), (b"n", b"ete"), (b"t", b"red"), (b"t", b"red blue"),
        (b"t", b"red && blue"), (b"t", b"green || none"), (b"a", b"25"), (b"a", b"25 30"), (b"a", b"30,25.5"),
        (b"n", b"^[ab]"), (b"n", b"*^ALI"), (b"n", b"("), (b"", b"r1"), (b"n", b""), (b"a", b"0"),
    )  # fmt: skip
    for number in range(19):
        for column, expression in expressions:
            yield misc("search", condition(column, b"%d" % number, expression), by_key)
    for name in (b"~STREQ", b"!STREQ", b"+STREQ", b"~+STREQ", b"=", b"==", b"none", b"16777216", b"33554432", b"streq"):
        yield misc("search", condition(b"n", name, b"bob"), by_key)
    yield from (
        misc("search", b"addcond\0n\0000", by_key),
        misc("search", b"addcond\0n", by_key),
        misc("search", b"foo", by_key),
    )
    for column, kinds in (
        (b"n", (b"0", b"1", b"STRASC")),
        (b"a", (b"0", b"1", b"2", b"3", b"NUMASC")),
        (b"", (b"0", b"1", b"STRDESC")),
    ):
        yield from (misc("search", b"setorder\0" + column + b"\0" + kind) for kind in kinds)
    for limit in (b"2", b"2\0001", b"0", b"-1\0003", b"3\0009"):
        yield misc("search", b"setlimit\0" + limit, by_key)
    bob = condition(b"n", b"STREQ", b"bob")
    for treatment in (
        (b"get",),
        (b"get\0n\0zz\0a",),
        (b"get\0",),
        (b"columns\0a\0",),
        (b"count",),
        (b"count", b"get"),
        (b"hint",),
        (b"hint", b"count"),
    ):
        yield misc("search", bob, *treatment)
    red, cheap = condition(b"t", b"STRINC", b"red"), condition(b"a", b"NUMLE", b"26")
    for kind in (b"0", b"1", b"2", b"UNION", b"isect", b"DIFF"):
        yield misc("metasearch", cheap, by_key, b"next", red, by_key, b"mstype\0" + kind)
    yield from (
        misc("search", bob, b"out", b"get"),
        misc("search", bob, b"out", b"get"),
        misc("search", bob, b"out", b"count"),
    )
    yield from (misc("search", condition(b"n", b"0", b"alice"), b"out", b"get\0a"), misc("search", b"out"), tt.RNum())


def texts() -> Iterator[bytes]:
    """Requests of memcached's protocol and of HTTP."""
    for line in (
        b"set k 5 0 3\r\nabc", b"get k", b"gets k none k", b"add k 0 0 1\r\nx", b"add k2 0 0 1\nx",
        b"replace k 0 0 1\r\ny", b"replace kk 0 0 1\r\ny", b"append k 0 0 2\r\n++", b"prepend k 0 0 2\r\n--",
        b"append kk 0 0 1\r\n1", b"get k", b"set n 0 0 2\r\n10", b"incr n 5", b"decr n 100", b"incr none 1",
        b"incr k 1", b"incr n -3", b"incr n x", b"incr n 1 noreply\r\nget n", b"set q 0 0 1 noreply\r\nz\r\nget q",
        b"delete q", b"delete q", b"delete k 0 noreply\r\nget k", b"delete n noreply\r\nget n", b"version", b"quit",
        b"GET k", b"foo", b"", b"set k 0 0", b"get", b"incr n", b"delete", b"set k 0 0 3\r\nabcd",
        b"set k 0 0 -3\r\n\r\nget k", b"get   k  p", b"get k\nget p", b"cas k 0 0 1 1\r\nx", b"touch k 1",
        b"flush_all", b"flush_all 10 noreply\r\nget k", b"flush_all noreply\r\nget k",
    ):  # fmt: skip
        yield line + b"\r\n"
    heads = [
        b"PUT /k HTTP/1.1\r\nContent-Length: 5\r\n\r\nvalue",
        b"PUT /a%20b HTTP/1.1\r\nContent-Length: 2\r\n\r\nsp",
    ]
    for line in (
        b"GET /k",
        b"GET /none",
        b"HEAD /k",
        b"HEAD /none",
        b"GET /a+b",
        b"GET /a%20b",
        b"GET k",
        b"GET /k?q=1",
        b"DELETE /k",
    ):
        heads.append(line + b" HTTP/1.1\r\n\r\n")
    for line in (b"DELETE /k", b"POST /k", b"FOO /k", b"PUT /e", b"GET /e"):
        heads.append(line + b" HTTP/1.1\r\n\r\n")
    heads += [
        b"GET /k HTTP/1.0\r\n\r\n",
        b"GET /k HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /e HTTP/1.1\r\n\r\n" * 2,
    ]
    for header in (b"", b"X-TT-PDMODE: 1\r\n", b"X-TT-PDMODE: 2\r\n", b"X-TT-PDMODE: 9\r\n"):
        heads.append(b"PUT /p HTTP/1.1\r\nContent-Length: 3\r\n" + header + b"\r\nabc")
    for name, body in (
        (b"getlist", b"a=p&b=e"),
        (b"get", b"a=zz"),
        (b"put", b"a=%01k&b=%00+x&junk"),
        (b"get", b"a=%01k"),
        (b"none", b""),
    ):
        heads.append(b"POST /k HTTP/1.1\r\nX-TT-MNAME: %b\r\nContent-Length: %d\r\n\r\n%b" % (name, len(body), body))
    heads.append(b"POST /k HTTP/1.1\r\nX-TT-XNAME: nofn\r\nContent-Length: 2\r\n\r\nvv")
    yield from heads


def masked() -> Iterator[Request | bytes]:
    """Every command, where it is forbidden."""
    yield from (
        tt.Put(b"k", b"v"),
        tt.PutKeep(b"k", b"v"),
        tt.PutCat(b"k", b"v"),
        tt.PutShl(b"k", b"v", 1),
        tt.PutNr(b"k", b"v"),
    )
    yield from (
        tt.Out(b"k"),
        tt.Get(b"k"),
        tt.MGet([b"k"]),
        tt.VSiz(b"k"),
        tt.IterInit(),
        tt.IterNext(),
        tt.FwmKeys(b"", -1),
    )
    yield from (
        tt.AddInt(b"k", 1),
        tt.AddDouble.of(b"k", 1),
        tt.Ext(b"f", 0, b"", b""),
        tt.Sync(),
        tt.Optimize(b""),
        tt.Vanish(),
    )
    yield from (
        tt.Copy(b"x"),
        tt.Restore(b"x", 1, 0),
        tt.SetMst(b"", 0, 0, 0),
        tt.RNum(),
        tt.Size(),
        misc("put", b"k", b"v"),
    )
    yield from (
        b"set k 0 0 1\r\nv\r\n",
        b"get k\r\n",
        b"stats\r\n",
        b"version\r\n",
        b"delete k\r\n",
        b"flush_all\r\n",
        b"incr k 1\r\n",
    )
    yield from (b"GET /k HTTP/1.1\r\n\r\n", b"HEAD /k HTTP/1.1\r\n\r\n", b"DELETE /k HTTP/1.1\r\n\r\n")
    yield b"PUT /k HTTP/1.1\r\nContent-Length: 1\r\n\r\nv"


def malformed() -> Iterator[bytes]:
    """What is no request, and what was not sent to its end."""
    yield from (
        b"\xc8",
        b"\xc8\xff",
        b"\xc8\x10\0\0\0\1",
        b"\xc8\x30\xff\xff\xff\xff",
        b"\xc8\x30\x10\0\0\1",
        b"\xc8\x31\0\x10\0\1",
    )
    yield from (
        b"\xc8\x90\0\0\4\0" + bytes(8),
        b"\xc8\x13\0\0\0\1\0\0\0\1\xff\xff\xff\xffkv",
        b"\xc8\x30\0\0\0\3ke",
        b"\xc8\x80" * 3,
    )


SCRIPT: Final = Path(__file__).with_name("functions.lua")


def calls() -> Iterator[Request]:
    """Functions of a script, and through them what a script can do."""
    for name, *given in (
        ("echo", b"a", b"b"),
        *(("ret", each.encode()) for each in RESULTS),
        *((name,) for name in ("two", "err", "_priv", "none", "print", "badput", "tp", "ver", "tm", "sl")),
        *(("put", b"k", b"v"), ("get", b"k"), ("get", b"zz"), ("num", b"n"), ("get", b"n"), ("keep", b"k", b"x")),
        *(("keep", b"k2", b"x"), ("cat", b"k", b"+"), ("get", b"k"), ("vsiz", b"k"), ("vsiz", b"zz"), ("rn",)),
        *(("addint", b"i", b"5"), ("addint", b"i", b"-7"), ("addint", b"k", b"1"), ("adddouble", b"d", b"1.5")),
        *(
            ("out", b"k2"),
            ("out", b"k2"),
            ("misc", b"getlist", b"k"),
            ("misc", b"none", b"k"),
            ("miscl", b"getlist", b"k"),
        ),
        *(("each",), ("each1",), ("it",), ("fw", b""), ("mr",), ("stash", b"a", b"b"), ("lk", b"k"), ("pk",), ("pk2",)),
        *(("codec", b"hex", b"abc"), ("codec", b"~hex", b"616263"), ("codec", b"url", b"a b"), ("codec", b"none", b"")),
        *(("codec", b"~url", b"a%20b+"), ("codec", b"base", b"abc"), ("codec", b"~base", b"YWJj"), ("isect",)),
        *(("hash", b"md5", b"abc"), ("hash", b"crc32", b"abc"), ("spl", b"a,b,c"), ("strs", b"abcabc", b"ca")),
        *(("strs", b"abc", b"z"), ("rx", b"abc", b"b"), ("rx", b"abc", b"z")),
        *(("bit", each) for each in (b"and", b"or", b"xor", b"left", b"not")),
    ):
        key, value = (*given, b"", b"")[:2]
        yield from (
            tt.Ext(name.encode(), options, key, value) for options in (0, 1, 2, 3) if name == "echo" or not options
        )


RESULTS: Final = (
    "str", "num", "big", "tru", "fals", "empty", "tab", "tabn", "et", "tf", "ta", "int", "neg", "none",
)  # fmt: skip


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "hash-in-memory": Scenario("*", [*records(), *functions(), *texts(), *malformed()]),
    "tree-in-memory": Scenario("+", [*records(), *functions(), *order()]),
    "hash": Scenario("{}/x.tch", [*records(), *functions()]),
    "tree": Scenario("{}/x.tcb", [*records(), *functions(), *order(), *duplicates()]),
    "numbers": Scenario("{}/x.tcf#width=20#limsiz=100000", list(numbered())),
    "table": Scenario("{}/x.tct", list(rows())),
    "searches": Scenario("{}/x.tct", list(searches())),
    "scripts": Scenario("+", list(calls()), ("-ext", str(SCRIPT))),
    "all-is-forbidden": Scenario("*", list(masked()), ("-mask", "all")),
    "writes-are-forbidden": Scenario(
        "*", [each for each in masked() if each not in (tt.Size(), b"stats\r\n")], ("-mask", "allwrite,allmanage")
    ),
    "some-is-forbidden": Scenario("*", list(masked()), ("-mask", "all", "-unmask", "get,put")),
}
