"""Strategies for requests of every kind, as a client might send them in any order."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from kt_core.wire import http, kt_rest
from kt_core.wire.kt_binary import NEVER_XT, GetBulk, PlayScript, RemoveBulk, SetBulk, encode_request
from tests.server.exchange import rpc

Text = SearchStrategy[bytes]

KEYS = st.sampled_from(
    [b"", b"a", b"ab", b"abc", b"b", b"k1", b"k2", b"zz", b"\0", b"k\t4", b"\xff\xfe", b"z" * 300, "ä".encode()]
)
VALUES = st.binary(max_size=12) | st.sampled_from(
    [b"", b"v", b"w", b"12345678", bytes(7) + b"\5", b"x" * 16, b"\1\xff", b"\xff\xfe", b"q" * 300, b"a b", b"a\nb"]
)
INTEGERS = st.sampled_from(
    [b"1", b"-1", b"0", b"5", b"9223372036854775807", b"-9223372036854775808", b"abc", b"1.9", b"10abc", b"", b" +7"]
)
INTEGER_ORIGINS = st.sampled_from([b"try", b"set", b"5", b"TRY", b"", b"9223372036854775807", b"-9223372036854775808"])
# Binary fractions: of others the last unit depends on how a machine rounds. Beyond 2^63 a sum shows what it is not.
REALS = st.sampled_from([b"1.5", b"-0.5", b"0", b"-3.25", b"1e10", b"inf", b"-inf", b"2.25", b"x", b"nan"])
REAL_ORIGINS = st.sampled_from([b"try", b"set", b"5.5", b"inf", b"-inf", b""])
ANY_XT = st.sampled_from([b"0", b"1", b"2", b"100", b"-1", b"-99999999999", b"1099511627775", b"abc", b""])
FAR_XT = st.sampled_from([b"100", b"-99999999999", b"1099511627775"])
ANY_SECONDS = st.sampled_from([NEVER_XT, 100, 0, 1, -1, -9999999999, 1 << 40])
FAR_SECONDS = st.sampled_from([NEVER_XT, 100, -9999999999])
FLAG = st.sampled_from([b"", b"0"])
LIMITS = st.sampled_from([b"0", b"1", b"2", b"-1", b"x"])
CURSORS = st.sampled_from([b"1", b"2", b"3x"])
NUMBERS = st.sampled_from([0, 0, 0, 1, 9])


class Requests:
    """Requests to a server with these two databases; with `far`, nothing expires while the requests are made."""

    def __init__(self, databases: tuple[str, str], *, far: bool) -> None:
        names = [name.rpartition("/")[2].encode() for name in databases]
        self._databases = st.sampled_from([b"0", b"1", b"", b"1x", b"7", b"none", *names])
        back = "" if databases[0] == "+" else "_back"
        self._jump_back, self._step_back = f"cur_jump{back}", f"cur_step{back}"
        self._xt = FAR_XT if far else ANY_XT
        self._seconds = FAR_SECONDS if far else ANY_SECONDS

    def records(self) -> Text:
        """Requests that concern records under their keys."""
        return st.one_of(self._calls(), self._binary(), self._rest(), self._others())

    def matches(self, database: bytes) -> Text:
        """Searches of one database."""
        where = {"DB": st.just(database)}
        patterns = st.sampled_from([b"^a", b"k[0-9]", b"b|c", b"(", b"", b"^(ab|z+)$"])
        return st.one_of(
            _call(
                "match_prefix", where | {"prefix": st.sampled_from([b"", b"a", b"k", b"\xff", b"z"])}, {"max": LIMITS}
            ),
            _call("match_regex", where | {"regex": patterns}, {"max": LIMITS}),
            _call(
                "match_similar",
                where | {"origin": st.sampled_from([b"ab", b"k", b""])},
                {"max": LIMITS, "range": st.sampled_from([b"0", b"1", b"2", b"-1"])},
            ),
        )

    def cursors(self, database: bytes) -> Text:
        """What can be done with cursors on one database.

        On a ``+`` the original goes back in ways of its own: from nowhere to the last record, and when it steps after
        reading it goes forward all the same. There all of them go forward.
        """
        where = {"CUR": CURSORS, "DB": st.just(database)}
        step = {"step": FLAG}
        return st.one_of(
            *(_call(name, where, {"key": KEYS}) for name in ("cur_jump", "cur_jump", self._jump_back)),
            *(_call(name, where, {}) for name in ("cur_step", self._step_back)),
            *(_call(name, where, {}) for name in ("cur_remove", "cur_seize", "cur_delete")),
            *(_call(name, where, step) for name in ("cur_get", "cur_get", "cur_get_key", "cur_get_value")),
            _call("cur_set_value", where, {"value": VALUES, "xt": self._xt, **step}),
            _call("cur_get", {}, {}),
        )

    def _calls(self) -> Text:
        more = {"DB": self._databases}
        timed = {**more, "xt": self._xt}
        key = {"key": KEYS}
        stores = [_call(name, key | {"value": VALUES}, timed) for name in ("set", "set", "add", "replace", "append")]
        looks = [_call(name, key, more) for name in ("get", "get", "get", "check", "remove", "seize")]
        return st.one_of(
            *stores,
            *looks,
            _call("set", {}, {**key, **timed}),
            _call("increment", key | {"num": INTEGERS}, timed | {"orig": INTEGER_ORIGINS}),
            _call("increment_double", key | {"num": REALS}, timed | {"orig": REAL_ORIGINS}),
            _call("cas", key, timed | {"oval": VALUES, "nval": VALUES}),
            _bulk("set_bulk", VALUES, timed),
            _bulk("get_bulk", FLAG, more),
            _bulk("remove_bulk", FLAG, more),
        )

    def _binary(self) -> Text:
        key = st.tuples(NUMBERS, KEYS)
        record = st.tuples(NUMBERS, KEYS, VALUES, self._seconds)
        stores = st.lists(record, max_size=3).map(SetBulk)
        looks = st.lists(key, max_size=4).map(GetBulk) | st.lists(key, max_size=3).map(RemoveBulk)
        return (stores | looks | st.just(PlayScript(b"f", [(b"k", b"v")]))).map(encode_request)

    def _rest(self) -> Text:
        paths = st.builds(kt_rest.encode_path, st.sampled_from([0, 1, 7, b"none"]), KEYS) | ODD_PATHS
        headers = st.fixed_dictionaries({}, optional={b"x-kt-mode": MODES, b"x-kt-xt": FAR_DATES})
        looks = st.tuples(st.sampled_from([b"GET", b"HEAD", b"DELETE"]), paths)
        puts = st.tuples(st.sampled_from([b"PUT", b"PUT", b"PUT", b"POST", b"PATCH", b"put"]), paths, headers, VALUES)
        return (looks | puts).map(lambda parts: http.encode_request(http.Request(*parts)))

    def _others(self) -> Text:
        texts = st.dictionaries(KEYS | VALUES, VALUES, max_size=3)
        unknown = st.sampled_from(["void", "nothing", "play_script", "ulog_list", "tune_replication"])
        return st.one_of(
            texts.map(lambda parameters: rpc("echo", parameters)),
            texts.map(_query),
            unknown.map(rpc),
            _call("get", {"key": KEYS, "SIGNAL": KEYS}, {"SIGNALBROAD": FLAG}),
            _call("set", {"key": KEYS, "value": VALUES, "WAIT": KEYS, "WAITTIME": st.just(b"0.001")}, {"SIGNAL": KEYS}),
            _call("clear", {"DB": st.sampled_from([b"7", b"none"])}, {}),
            _call("synchronize", {}, {"DB": self._databases, "hard": FLAG}),
            _call("vacuum", {"DB": self._databases}, {}),
        )


FAR_DATES = st.sampled_from(
    [
        *(b"0", b"-5", b"soon", b"", b"1099511627774", b"1099511627775", b"0xf44b2ba0", b"40000d", b"1000000h"),
        *(b"Sat, 21 Nov 2099 21:16:46 GMT", b"21 nov 2099 21:16:46", b"Sat, 21 Nov 2099 21:16:46 +0900"),
        *(b"Sat, 21 Nov 2099 21:16:46 PST", b"Sat Nov 21 21:16:46 2099", b"2099-11-21T21:18:26Z", b"2099-11-21"),
        *(b"2099-11-22T06:18:26+09:00", b"2099-11-21T21:18:26.5Z", b"2099/11/21 21:20:06"),
    ]
)
MODES = st.sampled_from([b"add", b"replace", b"set", b"ADD", b"Replace", b"", b"append", b"adding"])
ODD_PATHS = st.sampled_from(
    [
        b"/1//a",
        b"//a/b",
        b"///a",
        b"/0/a/b",
        b"/k1?x=/1",
        b"/%2a/k1",
        b"/00/a",
        b"/-1/a",
        b"/1x/a",
        b"/a+b",
        b"/rpc",
        b"/%",
    ]
)


def _call(procedure: str, required: dict[str, Text], optional: dict[str, Text]) -> Text:
    parameters = st.fixed_dictionaries(required, optional=optional)
    return parameters.map(lambda named: rpc(procedure, {name.encode(): value for name, value in named.items()}))


def _bulk(procedure: str, values: Text, optional: dict[str, Text]) -> Text:
    records = st.dictionaries(KEYS.map(lambda key: b"_" + key), values, max_size=4)
    more = st.fixed_dictionaries({}, optional=optional | {"atomic": FLAG})
    return st.builds(lambda marked, named: rpc(procedure, marked, **named), records, more)


def _query(parameters: dict[bytes, bytes]) -> bytes:
    text = "&".join(f"{quote(name)}={quote(value)}" for name, value in parameters.items())
    return f"GET /rpc/echo?{text} HTTP/1.1\r\n\r\n".encode()
