"""Record what the original answers: ``python -m tests.server.record``, with `ktserver` on the PATH.

The bundled server is compared with it in `test_recordings`, with or without an original at hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from kt_core.wire import http
from kt_core.wire.columns import encode_url
from kt_core.wire.kt_binary import NEVER_XT, GetBulk, SetBulk, encode_request
from tests.fix_servers import running
from tests.server import test_binary, test_connection, test_cursors, test_procedures, test_rest
from tests.server.exchange import rpc
from tests.server.pair import await_the_middle_of_a_second
from tests.server.recorded import Player, Step, write

DATABASES = ("%", "*")
BEGIN = Step("*", b"")
READ = b"GET /k HTTP/1.1\r\n\r\n"

Script = Iterator[Step | float]
"""Steps, and seconds to wait between them."""


def ask(*requests: bytes) -> Script:
    """Exchanges on one connection."""
    yield BEGIN
    for request in requests:
        yield Step(">", request)


def alone(*requests: bytes) -> Script:
    """Exchanges on a connection for each."""
    yield BEGIN
    for request in requests:
        yield Step("|", request)


def query(procedure: str, **parameters: Any) -> bytes:
    """Return the request of a call whose parameters are all in its path: the shortest."""
    texts = {name: each if isinstance(each, bytes) else str(each).encode() for name, each in parameters.items()}
    fields = b"&".join(b"%b=%b" % (name.encode(), encode_url(text)) for name, text in texts.items())
    return b"GET /rpc/%b?%b HTTP/1.1\r\n\r\n" % (procedure.encode(), fields)


def calls(sequences: Iterable[Iterable[tuple[str, dict[str, Any], Any]]], **more: Any) -> Script:
    """The calls of the tables that tests have."""
    for sequence in sequences:
        yield from ask(*(query(procedure, **{**more, **parameters}) for procedure, parameters, _ in sequence))


def rest() -> Script:
    for sequence in test_rest.SEQUENCES.values():
        yield from ask(*(request for request, _ in sequence))
    dates = [b"4098546906", b"0xf44b2ba0", b"Sat, 21 Nov 2099 21:16:46 GMT", b"2099-11-21T21:18:26Z"]
    dates += [b"2099-11-22T06:18:26+09:00", b"2099/11/21 21:20:06", b"1099511627774"]
    for date in [*dates, *(text for text, _ in test_rest.EXPIRIES.values())]:
        headers = {b"x-kt-xt": date}
        yield from ask(
            http.encode_request(http.Request(b"PUT", b"/k", headers, b"v")),
            b"HEAD /k HTTP/1.1\r\n\r\n",
            rpc("get", key="k"),
        )


def binary() -> Script:
    for exchanges in test_binary.EXCHANGES.values():
        yield from ask(*(bytes.fromhex(request) for request, _ in exchanges))
    for exchanges in test_binary.EXCHANGES.values():
        yield from alone(b"".join(bytes.fromhex(request) for request, _ in exchanges))


# Where ours does otherwise on purpose: see the documentation of `kt_core.wire.http` and `kt_core.wire.kt_binary`.
OTHERWISE = {"number of records", "long header", "many headers", "length in words", "two lengths", "length and chunks"}
OTHERWISE |= {"chunk in words", "record", "body", "chunk"}


def framing() -> Script:
    yield from alone(*(request for request, _ in test_connection.KEPT.values() if b"match" not in request))
    yield from alone(*(sent for name, (sent, _) in test_connection.MALFORMED.items() if name not in OTHERWISE))
    yield from alone(*(half for name, half in test_connection.HALVES.items() if name not in OTHERWISE))
    yield from alone(b"".join(sent for sent, _ in test_connection.MIXTURE))
    yield from ask(*(sent for sent, reply in test_connection.MIXTURE if reply != b""))
    yield from ask(*(sent for sent, _ in test_procedures.REPLIES.values() if b"1.0" not in sent))
    yield from alone(*(sent for sent, _ in test_procedures.REPLIES.values() if b"1.0" in sent))
    for kind, body, _ in test_procedures.BODIES.values():
        headers = {b"content-type": kind} if kind else {}
        yield from ask(http.encode_request(http.Request(b"POST", b"/rpc/echo?a=1&b=1", headers, body)))


def encodings() -> Script:
    texts = [b"", b"a b", b"\xff\xfe", b"\0", bytes(8), b"x" * 255, b"x" * 256, b"%41", b"a\tb", b"!*'()~-._", b"\x7f"]
    texts += ["äöü".encode() * 20, b"x" * 250 + b"\n", b"\n" * 300, bytes(range(256))]
    for text in texts:
        yield from ask(rpc("echo", {b"name": text}), rpc("echo", {text: text, b"a": b"\1"}))
    for query in (b"a=%4", b"a=%", b"a=%zz", b"a=+&b", b"=&&;;a", b"%00=%01", b"a=b=c", b"a\x01=\x7f"):
        yield from ask(b"GET /rpc/echo?" + query + b" HTTP/1.1\r\n\r\n")
    for column in (b"YQ==\tYg", b"YQ\tYg==", b"Y!Q=\t=", b"YWI=\tYWJj", b"YWJjZA\tZGQ"):
        kind = {b"content-type": b"text/tab-separated-values; colenc=B"}
        yield from ask(http.encode_request(http.Request(b"POST", b"/rpc/echo", kind, column)))
    for column in (b"a=3Db\t=\r", b"=0\t=41", b"a\x01\tb\x7f"):
        kind = {b"content-type": b"text/tab-separated-values; colenc=Q"}
        yield from ask(http.encode_request(http.Request(b"POST", b"/rpc/echo", kind, column)))


def expiry() -> Script:
    looks = [query("get", key="k"), query("check", key="k"), encode_request(GetBulk([(0, b"k")])), READ]
    for xt in (0, 1, 100, -1, -4098546906, (1 << 40) - 1, -((1 << 40) - 2), 1 << 62, NEVER_XT, -(1 << 63)):
        yield from ask(encode_request(SetBulk([(0, b"k", b"v", xt)])), *looks)
        yield from ask(query("set", key="k", value="v", xt=xt), looks[2])
    for text in ("", "abc", "1.9", " 10x", "0x10", "18446744073709551626", "-1099511627775"):
        yield from ask(query("set", key="k", value="v", xt=text), looks[2])
    for procedure, parameters, value, _, _ in test_procedures.EFFECTS.values():
        for xt in ({}, {"xt": 900}):
            yield from ask(
                encode_request(SetBulk([(0, b"k", value, 500)])),
                *([query("cur_jump", CUR=1, key="k")] if "CUR" in parameters else []),
                query(procedure, **{"key": "k", **parameters, **xt}),
                looks[2],
            )
    for xt in (0, 1, 2):
        yield from ask(encode_request(SetBulk([(0, b"k", b"v", xt)])))
        for _ in range(3):
            yield from (Step(">", look) for look in looks[:3])
            yield 1.0
    for name, (procedure, parameters, _) in test_procedures.CORPSE.items():
        if not name.startswith(("match", "cur")):  # which see it until it is collected, and when that is nobody knows
            yield from ask(encode_request(SetBulk([(0, b"k", b"v", -1)])), query(procedure, **parameters), looks[2])


def searches() -> Script:
    keys = {b"_" + key: b"value" for key in test_procedures.KEYS}
    matches = test_procedures.MATCHES.values()
    # What is no UTF-8 has other distances there.
    yield from ask(rpc("set_bulk", keys), *(rpc(name, **more) for name, more, _ in matches if "utf" not in more))
    del keys[b"_\xff\xfe"]
    yield from ask(rpc("set_bulk", keys), *(rpc(name, **more) for name, more, _ in matches if "utf" in more))
    yield from ask(*(rpc("match_regex", regex=regex) for regex in ("(", "[", "(?i)a", "a{2,1}")))


FILL = ("set_bulk", {"_b": "B", "_d": "D", "_f": "F"}, None)
SCRIPTS = {
    "procedures": lambda: calls(test_procedures.SEQUENCES.values(), DB=0),
    "databases": lambda: ask(*(rpc("set", key="k", value="v", DB=name) for name in test_procedures.NAMED)),
    "cursors": lambda: calls(([FILL, *steps] for steps in test_cursors.SEQUENCES.values()), CUR=1),
    "binary": binary,
    "rest": rest,
    "framing": framing,
    "encodings": encodings,
    "expiry": expiry,
    "searches": searches,
}


def record(player: Player, script: Script) -> Iterator[Step]:
    """Play a script and yield what is to be written."""
    second = 0
    for step in script:
        if isinstance(step, float):
            time.sleep(step)
            continue
        if step.mark == "*":
            player.begin()
            yield step
            continue
        await_the_middle_of_a_second()
        if int(time.time()) != second:
            second = int(time.time())
            yield Step("@", b"%d" % second)
        reply = player.exchange(step)
        assert int(time.time()) == second
        yield from (step, Step("<", reply))


def main() -> None:
    """Record everything."""
    with running("ktserver", databases=DATABASES) as address:
        player = Player((address.host, address.port), len(DATABASES))
        for name, script in SCRIPTS.items():
            write(name, record(player, script()))
        player.close()


if __name__ == "__main__":
    main()
