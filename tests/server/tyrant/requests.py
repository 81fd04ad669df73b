"""Strategies for requests to each kind of database, as clients might send them in any order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_messages import Request

Requests = SearchStrategy[Request]

KEYS = st.sampled_from([b"", b"a", b"ab", b"abc", b"b", b"k1", b"k2", b"zz", b"\0", b"k\t4", b"\xff\xfe", b"z" * 300])
IDS = st.sampled_from(
    [
        b"1",
        b"2",
        b"3",
        b"007",
        b"12",
        b"40",
        b"min",
        b"max",
        b"next",
        b"prev",
        b"0",
        b"-5",
        b"x",
        b"",
        b"1.5",
        b"9" * 30,
    ]
)
VALUES = st.binary(max_size=12) | st.sampled_from(
    [b"", b"v", b"1234", b"12345678", b"\5\0\0\0", b"\xff\xff\xff\x7f", bytes(8), b"q" * 300, b"a b", b"x=1"]
)
INTEGERS = st.sampled_from([0, 1, -1, 5, -7, (1 << 31) - 1, -(1 << 31), 1 << 30])
# Binary fractions: of others the last unit depends on how a machine rounds.
REALS = st.sampled_from([0.0, 1.5, -0.5, -3.25, 2.25, 1e10, float("inf"), float("-inf"), float("nan")])
LIMITS = st.sampled_from([-1, 0, 1, 2, 5, -7])
NUMBERS = st.sampled_from([b"0", b"1", b"2", b"-1", b"x", b"", b"7"])
PATTERNS = st.sampled_from([b"^a", b"k[0-9]", b"b|c", b"(", b"", b"*A", b"^(ab|z+)$"])

COLUMNS = st.sampled_from([b"x", b"y", b"name", b"_num"])
TEXTS = st.sampled_from(
    [b"", b"1", b"25", b"25.5", b"-3", b"abc", b"red green", b"red, blue", b"Alice", b"7 up", b"1e3"]
)
ROWS = st.lists(st.tuples(COLUMNS, TEXTS), max_size=4).map(
    lambda pairs: b"\0".join([part for pair in pairs for part in pair])
) | st.sampled_from([b"lonely", b"x\0", b"x\0001\0", b"\0v", b"x\0001\0x\0002", b"\0\0\0", b"x\0001\0odd"])
OPERATORS = st.sampled_from(
    [str(number).encode() for number in range(18)]
    + [b"STREQ", b"NUMGE", b"~STREQ", b"!NUMLT", b"+STRINC", b"16777216", b"none", b"STRRX"]
)
EXPRESSIONS = TEXTS | st.sampled_from([b"^a", b"red", b"25 26", b"0,25", b"green red", b"k1"])


def _misc(name: str, *arguments: SearchStrategy[bytes], more: SearchStrategy[bytes] | None = None) -> Requests:
    """A call of a function; of the last arguments some may be left out."""
    whole = st.tuples(*arguments).flatmap(
        lambda given: st.integers(0, len(given)).map(lambda end: given if end else given[:-1])
    )
    if more is not None:
        whole = st.tuples(whole, st.lists(more, max_size=4)).map(lambda parts: (*parts[0], *parts[1]))
    return whole.map(lambda given: tt.Misc(name.encode(), 0, given))


def records(
    keys: SearchStrategy[bytes], values: SearchStrategy[bytes], *, shifts: bool = True, sizes: bool = True
) -> Requests:
    """Commands and functions on single records, which every kind of database has."""
    shl = [st.builds(tt.PutShl, keys, values, st.sampled_from([0, 1, 4, 9]))] if shifts else []
    size = [st.builds(tt.VSiz, keys)] if sizes else []
    return st.one_of(
        st.builds(tt.Put, keys, values),
        st.builds(tt.Put, keys, values),
        *size,
        st.builds(tt.PutKeep, keys, values),
        st.builds(tt.PutCat, keys, values),
        *shl,
        st.builds(tt.PutNr, keys, values),
        st.builds(tt.Out, keys),
        st.builds(tt.Get, keys),
        st.builds(tt.MGet, st.lists(keys, max_size=4)),
        st.builds(tt.AddInt, keys, INTEGERS),
        st.builds(tt.AddDouble.of, keys, REALS),
        st.just(tt.RNum()),
        _misc("out", keys),
        _misc("get", keys),
        _misc("getlist", more=keys),
        _misc("outlist", more=keys),
        _misc("getpart", keys, NUMBERS, NUMBERS),
        st.sampled_from([tt.Misc(name, 0, ()) for name in (b"sync", b"none", b"vanish", b"defrag", b"cacheclear")]),
    )


def plain(keys: SearchStrategy[bytes]) -> Requests:
    """Functions that store values as they are."""
    return st.one_of(
        *(_misc(name, keys, VALUES) for name in ("put", "putkeep", "putcat", "putdup", "putdupback", "put")),
        st.lists(st.tuples(keys, VALUES), max_size=4).map(
            lambda pairs: tt.Misc(b"putlist", 0, [part for pair in pairs for part in pair])
        ),
    )


def ordered(keys: SearchStrategy[bytes]) -> Requests:
    """What depends on the order of the keys."""
    return st.one_of(
        st.builds(tt.FwmKeys, st.sampled_from([b"", b"a", b"k", b"z", b"\xff"]), LIMITS),
        _misc("range", keys, NUMBERS, keys),
        _misc("regex", PATTERNS, NUMBERS),
    )


def intervals() -> Requests:
    """The same for numbers; of a range that begins at none, the original's answer depends on what was before."""
    ends = st.sampled_from([b"1", b"3", b"40", b"min", b"max", b"x", b""])
    texts = st.tuples(st.sampled_from([b"[", b"("]), ends, ends, st.sampled_from([b"]", b")"])).map(
        lambda parts: b"%b%b,%b%b" % parts
    )
    return st.one_of(
        st.builds(tt.FwmKeys, texts | st.just(b""), LIMITS),
        _misc("range", st.sampled_from([b"1", b"3", b"40", b"min", b"max"]), NUMBERS, ends),
        _misc("regex", st.sampled_from([b"1", b"^4", b"("]), NUMBERS),
    )


def rows(keys: SearchStrategy[bytes]) -> Requests:
    """Functions of a table."""
    columns = st.lists(st.one_of(COLUMNS, TEXTS), max_size=5)
    return st.one_of(
        *(
            st.tuples(keys.filter(bool), st.lists(st.tuples(COLUMNS, TEXTS), max_size=3), columns).map(
                lambda parts, name=name: tt.Misc(  # type: ignore[misc]
                    name, 0, [parts[0], *(text for pair in parts[1] for text in pair)]
                )
            )
            for name in (b"put", b"putkeep", b"putcat")
        ),
        st.just(tt.Misc(b"genuid", 0, ())),
        searches(),
        searches(),
    )


def searches() -> Requests:
    """Searches whose result has one order only."""
    condition = st.tuples(st.one_of(COLUMNS, st.just(b"")), OPERATORS, EXPRESSIONS).map(
        lambda words: b"\0".join((b"addcond", *words))
    )
    order = st.just(b"setorder\0\0STRASC")
    limit = st.sampled_from([b"setlimit\x002", b"setlimit\x001\x001", b"setlimit\0-1\x002", b"setlimit\x000"])
    treatment = st.sampled_from([b"get", b"get\0x\0name", b"columns\0", b"count", b"out", b"foo"])
    return st.tuples(
        st.lists(condition, max_size=3), order, st.lists(limit, max_size=1), st.lists(treatment, max_size=2)
    ).map(lambda parts: tt.Misc(b"search", 0, [*parts[0], parts[1], *parts[2], *parts[3]]))
